"""The folder where everything is kept (PORTUS_DATA), and the ports: what `up` needs before it starts anything.

Nothing here needs Django.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path

import click

from portus import config

LOOPBACK = "127.0.0.1"
LOCK = "up.lock"
LOCK_TRIES = 10  # somebody who only looks whether it is held, has it for a moment
SECRET_KEY_BASE = "secret_key_base"  # noqa: S105 - a file's name
REGISTRY_SECRET = "registry_secret"  # noqa: S105 - a file's name


def read_configuration(*, notices: bool = False) -> config.Loaded:
    """Return the configuration; print its mistakes, one sentence each, and exit with 2 when there are any.

    What is no mistake, but good to know, is printed if `notices` says so: by one command of several that run together.
    """
    try:
        loaded = config.load(os.environ)
    except config.ConfigurationError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        sys.exit(2)
    for notice in loaded.notices if notices else ():
        click.echo(notice, err=True)
    return loaded


def prepare_folder(data: Path) -> None:
    """Make the folder, for us alone; raise ClickException when nothing can be written there."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise click.ClickException(
            f"{data} is not writable ({error.strerror}): set PORTUS_DATA to a folder that is."
        ) from error


def take_lock(data: Path, public_url: str) -> int:
    """Make this process the only one that is up in data; raise ClickException when another one is.

    The lock is held as long as the descriptor that is returned is open, also by the program that follows by `exec`.
    """
    descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for attempt in range(LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(0.02 * attempt)
    else:
        os.close(descriptor)
        raise click.ClickException(
            f"Portus is running in {data} already ({running_url(data)}): stop it, or set PORTUS_DATA to another folder."
        )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, public_url.encode(), 0)
    return descriptor


def running_url(data: Path) -> str | None:
    """Return the address of the Portus that is up in data, None when none is."""
    with contextlib.suppress(OSError), (data / LOCK).open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read()
    return None


def adopt(environ: MutableMapping[str, str]) -> None:
    """Let a command that runs beside a Portus that is up know the address that `up` chose for itself."""
    url = running_url(Path(environ.get("PORTUS_DATA") or "data"))
    if url:
        environ.setdefault("PORTUS_PUBLIC_URL", url)


def keep_secret(path: Path) -> str:
    """Return the secret in a file that only we may read; make one where there is none."""
    if not path.exists():
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{secrets.token_hex(64)}\n")
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # whoever was first wins: a secret never changes under somebody who has read it
        temporary.unlink()
    return path.read_text(encoding="utf-8").strip()


def require_secret_key(options: config.Options) -> None:
    """Exit with 2, and a sentence, unless there is a secret key."""
    problem = config.missing_secret_key(options)
    if problem:
        click.echo(problem, err=True)
        sys.exit(2)


def require_port(address: str, port: int, *, variable: str, what: str) -> None:
    """Raise ClickException, with the variable to change, when `what` cannot listen on the port."""
    for place in _also_ours(address):
        problem = _problem(place, port)
        if problem == errno.EADDRINUSE:
            raise click.ClickException(
                f"Port {port} for the {what} is taken by another program: set {variable} to a free one."
            )
        if problem == errno.EACCES:
            raise click.ClickException(
                f"Port {port} for the {what} may not be opened by this user: set {variable} to one above 1023."
            )
        if problem and place == address:
            raise click.ClickException(
                f"{address} is no address of this machine ({os.strerror(problem)}): set PORTUS_BIND to one that is."
            )


def _also_ours(address: str) -> Iterator[str]:
    """Yield the address; for the loopback also its IPv6 twin: who listens there takes what is sent to `localhost`."""
    yield address
    if address == LOOPBACK:
        yield "::1"


def _problem(address: str, port: int) -> int:
    """Return why nobody can listen there, as an errno; 0 when somebody can."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # What is left of connections that just ended does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except socket.gaierror:
        return errno.EADDRNOTAVAIL
    except OSError as error:
        return error.errno or errno.EADDRNOTAVAIL
    return 0


def numeric(address: str) -> str:
    """Return the address behind a name, of which the web server knows nothing; the name where there is none."""
    try:
        return str(socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return address


def connectable(address: str) -> str:
    """Return where something that listens on address can be reached from this machine."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound


def host_name(address: str) -> str:
    """Return how people on this machine call what listens on address."""
    return "localhost" if connectable(address) in {LOOPBACK, "::1"} and address != "::1" else host_in_url(address)


def host_in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address
