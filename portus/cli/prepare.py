"""Preparing what `portus web` and `portus background` work on: database, keys, static files, first registry.

Everything here can be done again at any time, and is quick where it is done already.
"""

import hashlib
import re
import time
import warnings
from pathlib import Path

import click
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection, connections

from portus import VERSION
from portus.background import queue
from portus.registry import health, signing
from portus.registry.models import Registry
from portus.registry.operations import create_registry, rename_host, secret_digest, set_notification_secret

DATABASE_WAIT_SECONDS = 90  # as long as Portus 2.4 waited
POLL_SECONDS = 1
UNKNOWN_DATABASE = 1049
# Wrong password, no such user, may not use this database: time does not mend these. MariaDB has numbers for them;
# a connection that PostgreSQL refuses has words alone.
REFUSED = frozenset({1044, 1045, 1698})
REFUSED_WORDS = re.compile(r'password authentication failed|role ".*" does not exist|no pg_hba.conf entry')


def prepare_database() -> None:
    """Wait for the server, make the database where there is none, and bring its tables up to date."""
    wait_for_database(make=True)
    try:
        pending = health.pending_migrations()
    except DatabaseError as error:
        raise _unusable(error) from error
    if pending:
        click.echo("Preparing the database.", err=True)
        call_command("migrate", interactive=False, verbosity=0)
    queue.prepare()


def wait_for_database(*, make: bool = False, seconds: float = DATABASE_WAIT_SECONDS) -> None:
    """Return when the database takes connections; raise ClickException when it refuses us, or the time is over.

    Where the server has no such database, one is made if `make` says so.
    """
    deadline = time.monotonic() + seconds
    told = False
    while True:
        try:
            connection.ensure_connection()
        except ImproperlyConfigured as error:
            raise click.ClickException(_missing_driver(error)) from error
        except OperationalError as error:
            missing = _is_missing(error)
            if make and missing:
                _make_database()
                make = False
                continue
            if missing or _is_refused(error) or time.monotonic() > deadline:
                raise _unusable(error) from error
            if not told:
                click.echo(f"Waiting for the database {_place()}: {health.reason(error)}", err=True)
            told = True
            time.sleep(POLL_SECONDS)
        except DatabaseError as error:  # a file that is no database, say
            raise _unusable(error) from error
        else:
            return


def prepare_keys() -> None:
    """Make our signing key where the operator gives none, and replace it in time."""
    if settings.PORTUS.runtime.key_path:
        return
    folder = signing.keys_folder()
    try:
        signing.make_keys(folder)
    except signing.SigningError as error:
        raise click.ClickException(str(error)) from error
    try:
        if signing.renew_leaf_if_due(folder):
            click.echo("The signing certificate was about to end; there is a new one.", err=True)
    except signing.SigningError as error:
        # It is good for some days still, and the key of the root may be kept elsewhere on purpose.
        click.echo(f"The signing certificate ends soon and cannot be replaced: {error}", err=True)


def collect_static_files() -> None:
    """Collect the files that pages need, unless those that are there were made from the same."""
    stamp = settings.PORTUS.runtime.data / "assets.stamp"
    fingerprint = _fingerprint()
    if Path(settings.STATIC_ROOT).is_dir() and stamp.exists() and stamp.read_text(encoding="utf-8") == fingerprint:
        return
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(fingerprint, encoding="utf-8")


def register_first() -> None:
    """Register what PORTUS_INIT_REGISTRY_* name, as long as there is no registry, as Portus 2.4 did."""
    runtime = settings.PORTUS.runtime
    if not runtime.init_registry_hostname or Registry.objects.exists():
        return
    _register(runtime.init_registry_name, runtime.init_registry_hostname, use_ssl=runtime.init_registry_use_ssl)
    click.echo(f"Registered {runtime.init_registry_hostname} as {runtime.init_registry_name}.", err=True)


def register_local(hostname: str, external_hostname: str | None, secret: str) -> None:
    """Register the registry that `up` runs; it is known by its secret, so it may move to another port."""
    ours = Registry.objects.filter(notification_secret_digest=secret_digest(secret)).first()
    namesake = Registry.objects.filter(hostname=hostname).first()
    if ours is None and namesake is None:
        _register(_free_name(hostname), hostname, external_hostname=external_hostname, secret=secret)
    elif ours is None and namesake is not None:
        set_notification_secret(namesake, secret, actor=None)
    elif ours is not None:
        _move(ours, hostname, _kept_or_new(ours.external_hostname, external_hostname))
    _given_name().write_text(external_hostname or "", encoding="utf-8")


def tell_about_secrets() -> None:
    """Tell of registries in whose name anybody can report what he likes."""
    for registry in Registry.objects.filter(notification_secret_digest=None):
        click.echo(
            f"The notifications of {registry.name} carry no secret, so anybody can forge them: run "
            f"`portus registry secret {registry.name}`.",
            err=True,
        )


def disconnect() -> None:
    """Leave the database, so that this process may become another program."""
    connections.close_all()


def _move(ours: Registry, hostname: str, external_hostname: str | None) -> None:
    """Give our registry the name of its port."""
    if (ours.hostname, ours.external_hostname) == (hostname, external_hostname):
        return
    if ours.hostname != hostname:
        click.echo(f"The registry {ours.name} moves from {ours.hostname} to {hostname}.", err=True)
    try:
        rename_host(ours, hostname, external_hostname, actor=None)
    except ValidationError as error:
        reasons = " ".join(error.messages)
        raise click.ClickException(
            f"{hostname} cannot be the name of the registry {ours.name} ({reasons}): set REGISTRY_PORT to another port."
        ) from error


def _kept_or_new(current: str | None, derived: str | None) -> str | None:
    """Return the external name: what follows from our address, unless somebody changed what we gave."""
    given = _given_name()
    if not given.exists() or given.read_text(encoding="utf-8") == (current or ""):
        return derived
    return current


def _given_name() -> Path:
    """Return the file that says which external name the local registry had from us."""
    path: Path = settings.PORTUS.runtime.data / "registry_external_hostname"
    return path


def _register(
    name: str, hostname: str, *, use_ssl: bool = False, external_hostname: str | None = None, secret: str | None = None
) -> None:
    try:
        create_registry(
            name=name, hostname=hostname, use_ssl=use_ssl, external_hostname=external_hostname,
            notification_secret=secret, actor=None,
        )  # fmt: skip
    except ValidationError as error:
        raise click.ClickException(f"{hostname} cannot be registered: {' '.join(error.messages)}") from error


def _free_name(hostname: str) -> str:
    return hostname if Registry.objects.filter(name="registry").exists() else "registry"


def _fingerprint() -> str:
    """Return a hash of what all static files are made from."""
    parts = [VERSION]
    for finder in get_finders():
        for path, storage in finder.list([]):
            found = Path(storage.path(path)).stat()
            parts.append(f"{path} {found.st_size} {found.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def _make_database() -> None:
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    charset = " CHARACTER SET utf8mb4" if connection.vendor == "mysql" else ""
    click.echo(f"Making the database {_place()}.", err=True)
    try:
        with connection._nodb_cursor() as cursor:  # noqa: SLF001 - how Django itself makes its test databases
            cursor.execute(f"CREATE DATABASE {name}{charset}")
    except OperationalError as error:
        raise click.ClickException(f"The database {_place()} cannot be made: {health.reason(error)}") from error


def _is_missing(error: OperationalError) -> bool:
    """Return whether the server is there, and has no such database."""
    if connection.vendor == "mysql":
        return bool(error.args[0] == UNKNOWN_DATABASE)
    if connection.vendor != "postgresql":
        return False
    try:
        with warnings.catch_warnings(action="ignore"), connection._nodb_cursor() as cursor:  # noqa: SLF001
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [connection.settings_dict["NAME"]])
            return cursor.fetchone() is None
    except DatabaseError:
        return False


def _is_refused(error: OperationalError) -> bool:
    return error.args[0] in REFUSED or REFUSED_WORDS.search(str(error)) is not None


def _unusable(error: DatabaseError) -> click.ClickException:
    return click.ClickException(f"The database {_place()} cannot be used: {health.reason(error)}")


def _place() -> str:
    database = settings.PORTUS.runtime.database
    return f"{database.name} on {database.host}" if database.host else database.name


def _missing_driver(error: ImproperlyConfigured) -> str:
    engine = settings.PORTUS.runtime.database.engine
    extra = " (pip install --require-hashes -r requirements/mariadb.txt)" if engine == "mariadb" else ""
    return f"The driver for {engine} is not installed{extra}: {health.reason(error)}"
