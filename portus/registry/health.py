"""One list of checks, for whoever runs Portus: what is right, what is not, and what mends it.

`GET /api/v1/health`, the administrators' page and `portus doctor` show the same sentences.
"""

import copy
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.x509 import Certificate
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from portus.registry import signing
from portus.registry.client import Challenge, RegistryClient, RegistryError
from portus.registry.models import EventState, Registry, RegistryEvent, TokenKeyHeader
from portus.repositories.models import Repository

CLOCK_TOLERANCE = timedelta(seconds=30)  # registries forgive a minute; half of it leaves time to mend
ENDS_SOON = timedelta(days=14)  # ours are replaced a month before their end, so this one was not
OVERDUE = timedelta(minutes=1)  # the sweep finds what a lost nudge left within that time
RECENTLY = timedelta(days=1)
# What to try when a registry refuses a token, the one that needs least of it first.
KEY_HEADERS = (TokenKeyHeader.X5C, TokenKeyHeader.LIBTRUST, TokenKeyHeader.RFC7638)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. The sentence says what was found and, when it is not ok, what mends it."""

    name: str  # database, migrations, keys, files, registry, clock, challenge, token, notifications or background
    ok: bool
    sentence: str
    registry: str = ""  # the name of the registry that it is about


def checks() -> Iterator[Check]:
    """Yield every check, in the order in which one would mend what is wrong; what cannot be looked at is left out."""
    database = check_database()
    yield database
    migrations = check_migrations() if database.ok else None
    if migrations:
        yield migrations
    yield check_keys()
    yield check_files()
    if migrations and migrations.ok:
        yield check_background()
        yield check_strangers()
        yield from check_registries()


def check_database() -> Check:
    database = settings.PORTUS.runtime.database
    place = f"{database.name} on {database.host}" if database.host else database.name
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        version = ".".join(str(part) for part in connection.get_database_version())
    except (DatabaseError, ImproperlyConfigured) as error:
        cure = "mend PORTUS_DB_*, or start the server."
        if database.engine == "sqlite":
            cure = "restore that file from a backup, or set PORTUS_DATA to the folder where Portus keeps its data."
        return Check("database", False, f"{place} cannot be used ({reason(error)}): {cure}")
    return Check("database", True, f"{connection.display_name} {version} answers ({place}).")


def reason(error: Exception) -> str:
    """Return the words of a driver, without its number and without what follows the first line."""
    words = error.args[1] if len(error.args) > 1 else error
    return str(words).strip().splitlines()[0].rstrip(".")


def pending_migrations() -> list[str]:
    """Return the migrations that the database has not seen, by the names of their files, without loading them."""
    applied = MigrationRecorder(connection).applied_migrations()
    return [
        f"{app.label}.{file.stem}"
        for app in apps.get_app_configs()
        for file in sorted(Path(app.path, "migrations").glob("[!_]*.py"))
        if (app.label, file.stem) not in applied
    ]


def check_migrations() -> Check:
    pending = pending_migrations()
    if pending:
        return Check("migrations", False, f"{len(pending)} are missing ({pending[0]} first): run `portus migrate`.")
    return Check("migrations", True, "The tables are up to date.")


def check_keys() -> Check:
    try:
        found = signing.certificates()
        signing.jwks()
    except signing.SigningError as error:
        return Check("keys", False, str(error))
    problem = _open_key_file() or _certificate_problem(found)
    if problem:
        return Check("keys", False, problem)
    if found.leaf is None or found.root is None:
        return Check("keys", True, "PORTUS_KEY_PATH is used without a certificate: its registries must know the key.")
    leaf, root = found.leaf.not_valid_after_utc, found.root.not_valid_after_utc
    return Check(
        "keys", True, f"The signing certificate is good until {leaf:%Y-%m-%d}, its root until {root:%Y-%m-%d}."
    )


def check_files() -> Check:
    """Tell whether others on this machine may read password hashes, or the secrets with which they could be us."""
    open_files = [str(path) for path in _private_files() if _is_open_to_others(path)]
    if not open_files:
        return Check("files", True, "Nobody else on this machine may read the secrets and the databases.")
    verb = "may be read by others on this machine: run"
    return Check("files", False, f"{', '.join(open_files)} {verb} `chmod o= {shlex.join(open_files)}`.")


def check_background() -> Check:
    """Tell whether events are handled; nothing but a background process that works does that."""
    late = RegistryEvent.objects.due(timezone.now() - OVERDUE).order_by("due_at")
    count = late.count()
    if count:
        return Check("background", False, f"{count} notifications wait to be handled: is `portus background` running?")
    failed = RegistryEvent.objects.filter(state=EventState.FAILED).order_by("-attempts").first()
    if failed:
        return Check("background", False, f"Notifications are tried again and again; the last reason: {failed.error}")
    return Check("background", True, "No notification waits to be handled.")


def check_strangers() -> Check:
    """Tell about notifications that we could not understand: most often their registry has another name here."""
    since = timezone.now() - RECENTLY
    strange = RegistryEvent.objects.filter(state=EventState.QUARANTINED, received_at__gte=since).order_by("-pk")
    newest = strange.first()
    if newest is None:
        return Check("notifications", True, "All notifications of the last day were understood.")
    cure = "" if newest.registry_id else " Add the registry (`portus registry add`), or mend its name here."
    return Check(
        "notifications", False, f"{strange.count()} of the last day were not understood; the last: {newest.error}{cure}"
    )


def check_registries() -> Iterator[Check]:
    registries = Registry.objects.all()
    if not registries:
        yield Check(
            "registry", False, "There is none: add one on the administrators' page or by `portus registry add`."
        )
    for registry in registries:
        yield from check_registry(registry)


def unreachable(registry: Registry, *, patience: int) -> str:
    """Return why a registry cannot be reached within so many seconds; "" when it answers as one."""
    try:
        found = RegistryClient(registry, patience=patience).ping()
    except RegistryError as error:
        return str(error)
    return _no_registry(registry) if found is None else ""


def check_registry(registry: Registry) -> Iterator[Check]:
    """Yield what there is to say about one registry; when it does not answer, that alone."""
    client = RegistryClient(registry)
    try:
        challenge = client.ping()
    except RegistryError as error:
        yield Check("registry", False, str(error), registry.name)
        return
    if challenge is None:
        yield Check("registry", False, _no_registry(registry), registry.name)
        return
    yield Check("registry", True, f"{registry.hostname} answers.", registry.name)
    yield _check_clock(registry, challenge)
    yield _check_challenge(registry, challenge)
    if challenge.service:
        token = _check_token(registry)
        yield token
        if token.ok:
            yield _check_notifications(registry, client)


def _no_registry(registry: Registry) -> str:
    return f"{registry.base_url}/v2/ answers, but is no registry: mend the host name."


def _open_key_file() -> str:
    """Return what is wrong when others on this machine may read the signing key; "" when nothing is."""
    runtime = settings.PORTUS.runtime
    path = runtime.key_path or signing.keys_folder() / "signing.key"
    mode = stat.S_IMODE(path.stat().st_mode)
    # An operator's key may belong to a group; ours is made for nobody else.
    if mode & (stat.S_IROTH if runtime.key_path else stat.S_IRWXG | stat.S_IRWXO):
        return f"{path} may be read by others on this machine: chmod 600 {path}."
    return ""


def _private_files() -> list[Path]:
    runtime = settings.PORTUS.runtime
    files = [runtime.data / "secret_key_base", runtime.data / "registry_secret", signing.keys_folder() / "root.key"]
    databases = [runtime.data / "queue.sqlite3"]
    if runtime.database.engine == "sqlite":
        databases.append(Path(runtime.database.name))
    return [*files, *(Path(f"{path}{suffix}") for path in databases for suffix in ("", "-wal", "-shm"))]


def _is_open_to_others(path: Path) -> bool:
    """Return whether its mode lets others read it; in a folder that they may not enter, it does not matter."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH and path.parent.stat().st_mode & stat.S_IXOTH)
    except OSError:  # there is none, or not even we may look
        return False


def _certificate_problem(found: signing.Certificates) -> str:
    leaf, root = found.leaf, found.root
    if leaf is None or root is None:
        return ""
    own = not settings.PORTUS.runtime.key_path
    renew = "run `portus keys rotate`." if own else "renew PORTUS_KEY_CERTIFICATE_PATH."
    if leaf != root and not _is_issued_by(leaf, root):
        return f"The signing certificate was not issued by {found.bundle}: {renew}"
    renew_root = f"remove {found.bundle} and its key, run `portus migrate`, and give registries the new one."
    return _date_problem("root", root, renew_root if own else renew) or _date_problem("signing", leaf, renew)


def _is_issued_by(leaf: Certificate, root: Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _date_problem(what: str, certificate: Certificate, cure: str) -> str:
    now = datetime.now(UTC)
    if certificate.not_valid_before_utc > now:
        return f"The {what} certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}: set the clock."
    if certificate.not_valid_after_utc < now:
        return f"The {what} certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}: {cure}"
    if certificate.not_valid_after_utc < now + ENDS_SOON:
        return f"The {what} certificate ends on {certificate.not_valid_after_utc:%Y-%m-%d}: {cure}"
    return ""


def _check_clock(registry: Registry, challenge: Challenge) -> Check:
    if challenge.answered_at is None:
        return Check("clock", True, "The registry does not tell its time.", registry.name)
    difference = timezone.now() - challenge.answered_at
    if abs(difference) <= CLOCK_TOLERANCE:
        return Check("clock", True, "The registry's clock agrees with ours.", registry.name)
    seconds = round(abs(difference.total_seconds()))
    order = "behind" if difference > timedelta(0) else "ahead of"
    return Check(
        "clock", False, f"The registry's clock is {seconds} s {order} ours: set both by NTP, tokens live by them.",
        registry.name,
    )  # fmt: skip


def _check_challenge(registry: Registry, challenge: Challenge) -> Check:
    ours = [f"{settings.PORTUS.public_url}{path}" for path in ("/v2/token", "/auth/token")]
    names = [registry.hostname, *filter(None, [registry.external_hostname])]
    see = f"`portus registry configuration {registry.name}` prints what it must say."
    if not challenge.service:
        problem = f"The registry asks for no token, so anyone may do anything: set its auth.token; {see}"
    elif challenge.realm not in ours:
        problem = (
            f"The registry sends its clients to {challenge.realm}, but we are at {ours[0]}: "
            "mend its auth.token.realm, or our public_url."
        )
    elif challenge.service not in names:
        problem = (
            f'The registry calls itself "{challenge.service}": set its auth.token.service to {names[-1]}, '
            "or give it that name here."
        )
    else:
        return Check("challenge", True, f"It sends its clients to {challenge.realm}.", registry.name)
    return Check("challenge", False, problem, registry.name)


def _check_token(registry: Registry) -> Check:
    refusal = _refusal(registry, registry.token_key_header)
    if refusal is None:
        said = registry.token_key_header or "automatic"
        return Check("token", True, f"It accepts our tokens (token_key_header: {said}).", registry.name)
    for header in KEY_HEADERS:
        if _refusal(registry, header) is None:
            cure = f"portus registry set {registry.name} --token-key-header {header}"
            return Check(
                "token",
                False,
                f"It accepts our tokens only with token_key_header {header}: run `{cure}`.",
                registry.name,
            )
    if registry.hostname not in refusal or "token" not in refusal:
        return Check("token", False, refusal, registry.name)
    issuer, bundle = settings.PORTUS.machine_fqdn.value, signing.certificates().bundle
    return Check(
        "token",
        False,
        f"It refuses our tokens: its auth.token.issuer must be {issuer}, and its rootcertbundle the content of "
        f"{bundle or 'the certificate of PORTUS_KEY_PATH'}.",
        registry.name,
    )


def _refusal(registry: Registry, header: str) -> str | None:
    """Return why the registry does not take a token whose head is made as `header` says; None when it does."""
    other = copy.copy(registry)
    other.token_key_header = header
    try:
        RegistryClient(other).check_token()
    except RegistryError as error:
        return str(error)
    return None


def _check_notifications(registry: Registry, client: RegistryClient) -> Check:
    if registry.notification_secret_digest is None:
        return Check(
            "notifications", False,
            f"They carry no secret, so anybody can forge them: run `portus registry secret {registry.name}`.",
            registry.name,
        )  # fmt: skip
    last = RegistryEvent.objects.filter(registry=registry, trusted=True).order_by("-received_at").first()
    if last:
        return Check(
            "notifications", True, f"The last one arrived {last.received_at:%Y-%m-%d %H:%M} UTC.", registry.name
        )
    if Repository.objects.filter(namespace__registry=registry).exists():
        return Check("notifications", True, "None arrived lately; the catalogue shows that they did.", registry.name)
    try:
        untold = next(client.catalog(), None)
    except RegistryError as error:
        return Check("notifications", False, str(error), registry.name)
    if untold is None:
        return Check("notifications", True, "None arrived yet; the registry is empty.", registry.name)
    return Check(
        "notifications", False,
        f"None ever arrived, though the registry has {untold}: mend its notifications.endpoints; "
        f"`portus registry configuration {registry.name}` prints what they must say.",
        registry.name,
    )  # fmt: skip
