import fcntl
import logging
import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from portus.cli import load, place, registry_configuration, supervision
from portus.cli.supervision import Program, portus
from portus.cli.tools import find_registry
from portus.config import Loaded, Options

CONTAINER_IMAGE = "registry:3"
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@click.command()
def command() -> None:
    """Start everything on this machine: a registry, the web server and the background process, until Ctrl-C.

    All state is in the folder PORTUS_DATA (./data). The web server listens on PORTUS_PORT (3000), the registry on
    REGISTRY_PORT (5000), both on PORTUS_BIND (127.0.0.1). What is missing is made: the database, the keys, the
    registry's configuration. What dies is started again.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    loaded = place.read_configuration()
    options = loaded.options
    data = options.runtime.data
    public_url = _public_url(loaded)
    place.prepare_folder(data)
    lock = place.take_lock(data, public_url)
    _require_two_ports(options)
    place.require_port(options.web.bind, options.web.port, variable="PORTUS_PORT", what="web server")
    program = find_registry(data)
    if program:
        place.require_port(options.web.bind, options.runtime.registry_port, variable="REGISTRY_PORT", what="registry")
    _prepare(public_url, data)
    if program is None:
        click.echo(_how_to_start_a_registry(options), err=True)
    _become_supervisor(_programs(options, program), data / "run", lock)


def _public_url(loaded: Loaded) -> str:
    """Return the operator's address, else the one that a browser on this machine can use."""
    options = loaded.options
    if loaded.origins.get("public_url", "machine_fqdn.value") != "machine_fqdn.value":
        return options.public_url
    scheme = "https" if options.web.tls_key else "http"
    return f"{scheme}://{place.host_name(options.web.bind)}:{options.web.port}{options.runtime.url_prefix}"


def _require_two_ports(options: Options) -> None:
    if options.web.port == options.runtime.registry_port:
        raise click.ClickException(
            f"PORTUS_PORT and REGISTRY_PORT are both {options.web.port}: web server and registry need a port each."
        )


def _prepare(public_url: str, data: Path) -> None:
    """Make what is missing. The environment tells the settings, and all processes, which address we have."""
    os.environ["PORTUS_PUBLIC_URL"] = public_url
    if not place.read_configuration().options.runtime.secret_key_base:
        place.keep_secret(data / place.SECRET_KEY_BASE)
    secret = place.keep_secret(data / place.REGISTRY_SECRET)
    options = place.read_configuration().options
    (data / "registry").mkdir(exist_ok=True)
    registry_configuration.write(data / "registry.yml", registry_configuration.local(options, secret))
    prepare = load("prepare")
    prepare.prepare_keys()
    prepare.prepare_database()
    prepare.collect_static_files()
    prepare.register_local(registry_configuration.local_hostname(options), _external_hostname(options), secret)
    prepare.register_first()
    prepare.tell_about_secrets()
    prepare.disconnect()


def _external_hostname(options: Options) -> str | None:
    """Return how others on the network call our registry, when they can."""
    host = place.host_in_url(urlsplit(options.public_url).hostname or "")
    address = f"{host}:{options.runtime.registry_port}"
    return None if host in LOCAL_NAMES or address == registry_configuration.local_hostname(options) else address


def _how_to_start_a_registry(options: Options) -> str:
    data = options.runtime.data
    mounts = [
        f"{data / 'registry'}:{data / 'registry'}",
        f"{data / 'registry.yml'}:{data / 'registry.yml'}:ro",
        f"{registry_configuration.bundle(options)}:{registry_configuration.bundle(options)}:ro",
    ]
    volumes = " ".join(f"-v {shlex.quote(mount)}" for mount in mounts)
    run = f"docker run -d --network host {volumes} {CONTAINER_IMAGE} serve {shlex.quote(str(data / 'registry.yml'))}"
    return f"There is no registry program here. This starts one in a container:\n\n  {run}\n"


def _programs(options: Options, registry: Path | None) -> list[Program]:
    programs = [
        Program("web", portus("web")),
        Program("background", portus("background")),
        Program("ready", portus("ready", "--registry" if registry else "--no-registry"), once=True),
    ]
    if registry:
        data = options.runtime.data
        # It is a stranger to our secrets, and would take REGISTRY_PORT for an option of its own.
        environ = {"PATH": os.environ.get("PATH", ""), "HOME": str(data), "OTEL_TRACES_EXPORTER": "none"}
        if options.web.tls_certificate:
            # We are the only ones that it calls, and our certificate may be signed by nobody else.
            environ["SSL_CERT_FILE"] = str(Path(options.web.tls_certificate).absolute())
        serve = (str(registry), "serve", str(data / "registry.yml"))
        programs.insert(0, Program("registry", serve, environ=environ))
    return programs


def _share_output() -> None:
    """Let several processes write where our standard output goes; supervisor opens it once more for each of them."""
    if stat.S_ISREG(os.fstat(1).st_mode):
        # Else they would write over each other: each has a position of its own.
        fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_APPEND)
    try:
        os.close(os.open("/dev/fd/1", os.O_WRONLY | os.O_APPEND | os.O_NOCTTY))
    except OSError:
        # A service manager's journal has no path, and the terminal or file of whoever called us by `sudo` is not ours.
        reader, writer = os.pipe()
        subprocess.Popen(["cat"], stdin=reader, start_new_session=True)  # noqa: S607  # Ctrl-C is not for it
        os.dup2(writer, 1)


def _become_supervisor(programs: list[Program], run: Path, lock: int) -> None:
    """Replace this process by supervisor's, which keeps our lock until it ends."""
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(mode=0o700)
    path = run / "supervisord.conf"
    path.write_text(supervision.configuration(programs), encoding="utf-8")
    os.set_inheritable(lock, True)
    if sys.stderr.isatty():
        os.environ["FORCE_COLOR"] = "1"  # the processes write into pipes, but it is a person who reads
    sys.stdout.flush()
    sys.stderr.flush()
    _share_output()
    command = supervision.command_line(path)
    os.execv(command[0], command)  # noqa: S606 - our own interpreter
