"""A real registry: distribution 2.8 (Debian's) or 3.x, with or without token authentication and notifications."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml

from portus.cli.tools import registry_version
from portus.tests.servers.ports import LOOPBACK, free_port
from portus.tests.servers.process import Process

TOOLS = Path(__file__).parents[3] / ".tools"
NOT_RUN = {
    "2.8": "NOT RUN: the tests beside distribution 2.x, for want of Debian's docker-registry (bin/test fetches it)",
    "3.x": "NOT RUN: the tests beside distribution 3.x, for want of REGISTRY3 or a Go toolchain of 1.25 or later",
}


@dataclass(frozen=True)
class RegistryBinary:
    path: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])


@cache
def find_registry_binary(series: str) -> RegistryBinary | None:
    """The program of series "2.8" or "3.x": named by REGISTRY3, on the PATH, or where bin/test put it."""
    on_path = [Path(place) for name in ("docker-registry", "registry") if (place := shutil.which(name))]
    places = [*on_path, TOOLS / "registry-2/docker-registry", TOOLS / "registry-3/registry"]
    if series == "3.x" and os.environ.get("REGISTRY3"):
        places = [Path(os.environ["REGISTRY3"])]
    found = [RegistryBinary(path, version) for path in places if (version := registry_version(path))]
    return next((binary for binary in found if binary.major == int(series[0])), None)


@dataclass(frozen=True)
class RunningRegistry:
    """A registry that answers at `address`, which is also its token service's name unless told otherwise."""

    binary: RegistryBinary
    process: Process
    folder: Path
    port: int
    service: str

    @property
    def host(self) -> str:
        return LOOPBACK

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def storage(self) -> Path:
        return self.folder / "storage"

    @property
    def configuration(self) -> Path:
        return self.folder / "config.yml"

    def start(self) -> None:
        """Return when the registry answers; raise ServerError with its last words when it does not."""
        self.process.start()
        self.process.wait_until(self._answers)

    def stop(self) -> None:
        self.process.stop()

    def restart(self) -> None:
        """Stop and start at the same address, on the same storage, with the configuration as it is now."""
        self.stop()
        self.start()

    def log(self) -> str:
        return self.process.log()

    def repositories(self) -> dict[str, dict[str, str]]:
        """What is in the storage: repository → tag → digest."""
        return stored_content(self.storage)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v2/", timeout=5, trust_env=False).status_code in {200, 401}
        except httpx.TransportError:
            return False


def stored_content(storage: Path) -> dict[str, dict[str, str]]:
    """What a storage holds: repository → tag → digest, read from the files behind the registry's back."""
    top = storage / "docker/registry/v2/repositories"
    content: dict[str, dict[str, str]] = {}
    for link in sorted(top.rglob("_manifests/tags/*/current/link")):
        tag = link.parents[1]
        repository = tag.parents[2].relative_to(top).as_posix()
        content.setdefault(repository, {})[tag.name] = link.read_text().strip()
    return content


def start_registry(
    binary: RegistryBinary,
    folder: Path,
    *,
    portus_url: str | None = None,
    issuer: str = "",
    root_certificate: Path | None = None,
    service: str | None = None,
    secret: str | None = None,
    notification_headers: Mapping[str, str] | None = None,
    port: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> RunningRegistry:
    """Start a registry whose files are in folder.

    With a root_certificate it wants tokens from portus_url; with a portus_url it notifies Portus, with secret as the
    Bearer token of the Authorization header. `extra` replaces whole top-level sections of the configuration, or keys
    of them one level deep.
    """
    port = port or free_port()
    service = service or f"{LOOPBACK}:{port}"
    configuration: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "storage")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": f"{LOOPBACK}:{port}", "secret": "a secret of the tests"},
    }
    if portus_url and root_certificate:
        configuration["auth"] = {"token": _token_options(portus_url, service, issuer, root_certificate)}
    if portus_url:
        headers = dict(notification_headers or {})
        if secret is not None:
            headers.setdefault("Authorization", f"Bearer {secret}")
        configuration["notifications"] = {"endpoints": [_endpoint(portus_url, headers)]}
    for section, values in (extra or {}).items():
        old = configuration.get(section)
        configuration[section] = {**old, **values} if isinstance(old, dict) else values

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(configuration))
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "OTEL_TRACES_EXPORTER": "none"}
    process = Process([binary.path, "serve", path], log=folder / "registry.log", environ=environ)
    running = RunningRegistry(binary, process, folder, port, service)
    running.start()
    return running


def _token_options(portus_url: str, service: str, issuer: str, root_certificate: Path) -> dict[str, str]:
    return {
        "realm": f"{portus_url}/v2/token",
        "service": service,
        "issuer": issuer,
        "rootcertbundle": str(root_certificate),
    }


def _endpoint(portus_url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """The pauses are short, so that a test sees a retry."""
    return {
        "name": "portus",
        "url": f"{portus_url}/v2/webhooks/events",
        "headers": {name: [value] for name, value in headers.items()},
        "timeout": "2s",
        "threshold": 3,
        "backoff": "500ms",
    }
