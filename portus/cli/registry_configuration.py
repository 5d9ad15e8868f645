"""What the configuration of a registry (distribution 2.8 or 3.x) must say so that it works with Portus."""

import hashlib
import hmac
import os
from pathlib import Path
from typing import Any

import click
import yaml

from portus.cli.place import connectable, host_in_url, host_name
from portus.config import Options

# Layers and configurations are no images: the registry need not tell us about them.
IGNORED_MEDIA_TYPES = ["application/octet-stream"]


def for_portus(options: Options, *, service: str, bundle: Path, events_url: str, secret: str) -> dict[str, Any]:
    """Return the sections that any registry needs: where tokens come from, whom it tells, and that it may delete."""
    return {
        "storage": {"delete": {"enabled": True}},
        "auth": {
            "token": {
                "realm": f"{options.public_url}/v2/token",
                "service": service,
                "issuer": options.machine_fqdn.value,
                "rootcertbundle": str(bundle),
            }
        },
        "notifications": {
            "endpoints": [
                {
                    "name": "portus",
                    "url": f"{events_url}/v2/webhooks/events",
                    "headers": {"Authorization": [f"Bearer {secret}"]},
                    "timeout": "2s",
                    "threshold": 3,
                    "backoff": "1s",
                    "ignore": {"mediatypes": IGNORED_MEDIA_TYPES},
                }
            ]
        },
    }


def local(options: Options, secret: str) -> dict[str, Any]:
    """Return the whole configuration of the registry that `portus up` runs beside us."""
    data, port = options.runtime.data, options.runtime.registry_port
    content = for_portus(
        options, service=local_hostname(options), bundle=bundle(options), events_url=events_url(options), secret=secret
    )
    return {
        "version": "0.1",
        # At `warn` it reports each request that comes without a token, and so each one that starts a login.
        "log": {"level": "error", "accesslog": {"disabled": True}},
        **content,
        "storage": {**content["storage"], "filesystem": {"rootdirectory": str(data / "registry")}},
        "http": {
            "addr": f"{host_in_url(options.web.bind)}:{port}",
            # Signs the state of uploads: a push goes on after a restart of the registry.
            "secret": hmac.new(secret.encode(), b"state of uploads", hashlib.sha256).hexdigest(),
            "draintimeout": "3s",
        },
    }


def local_hostname(options: Options) -> str:
    """Return the name of our own registry, which is also the service that its tokens are for."""
    return f"{host_name(options.web.bind)}:{options.runtime.registry_port}"


def bundle(options: Options) -> Path:
    """Return the file with the certificate that the registry has to trust."""
    runtime = options.runtime
    if not runtime.key_path:
        return runtime.data / "keys" / "root.crt"
    if runtime.key_certificate_path:
        return runtime.key_certificate_path
    raise click.ClickException(
        "PORTUS_KEY_PATH is set, but not PORTUS_KEY_CERTIFICATE_PATH: the registry needs the certificate of that key."
    )


def events_url(options: Options) -> str:
    """Return where our own registry finds us: on the loopback, unless we serve https, which is for our public name."""
    if options.web.tls_key:
        return options.public_url
    address = host_in_url(connectable(options.web.bind))
    return f"http://{address}:{options.web.port}{options.runtime.url_prefix}"


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a configuration, which holds a secret, so that nobody else can read it and nobody sees half of it."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("# Written anew at each start of `portus up`.\n")
        yaml.safe_dump(content, file, sort_keys=False)
    temporary.replace(path)
