import http.client
import shlex
import ssl
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import click

from portus.cli import place
from portus.config import Options

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 60


@click.command()
@click.option("--registry/--no-registry", required=True, help="Whether a registry runs here, too.")
def command(registry: bool) -> None:
    """Wait until Portus answers, and print what to do next. `up` runs this beside the servers."""
    options = place.read_configuration().options
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _answers(options, registry=registry):
        if time.monotonic() > deadline:
            click.echo(
                f"Portus does not answer after {PATIENCE_SECONDS} seconds; the lines above may say why.", err=True
            )
            sys.exit(1)
        time.sleep(POLL_SECONDS)
    click.echo(_next_steps(options, registry=registry))


def _answers(options: Options, *, registry: bool) -> bool:
    web, runtime = options.web, options.runtime
    if _get(web.bind, web.port, f"{runtime.url_prefix}/api/v1/_ping", tls=bool(web.tls_key)) != 200:
        return False
    return not registry or _get(web.bind, runtime.registry_port, "/v2/") in {200, 401}


def _get(bind: str, port: int, path: str, *, tls: bool = False) -> int | None:
    """Return the status of an answer, None when there is none. Proxies are not asked; this is our own machine."""
    address = place.connectable(bind)
    connection = http.client.HTTPConnection(address, port, timeout=5)
    if tls:
        # The certificate is for our public name, and we only want to know whether somebody answers.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection(address, port, timeout=5, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _next_steps(options: Options, *, registry: bool) -> str:
    host = place.host_in_url(urlsplit(options.public_url).hostname or "")
    address = f"{host}:{options.runtime.registry_port}"
    program = shlex.quote(str(Path(sys.executable).with_name("portus")))
    image = f"{address}/NAME/hello-world"
    first = f"Sign up at {options.public_url}/users/sign_up"
    if not options.signup.enabled:
        first = (
            f"Sign in at {options.public_url}/users/sign_in (sign-up is disabled: while there are no users,\n"
            f"     POST {options.public_url}/api/v1/users/bootstrap makes the first one)"
        )
    later = "" if registry else " (once the registry is there)"
    return (
        f"\nPortus is ready: {options.public_url}\n\n"
        "Next:\n"
        f"  1. {first}\n"
        f"  2. docker login {address}{later}\n"
        "  3. With your user name as NAME:\n"
        "     docker pull hello-world\n"
        f"     docker tag hello-world {image}\n"
        f"     docker push {image}\n\n"
        f"{program} doctor checks this installation. Ctrl-C ends everything."
    )
