"""The whole product as a person starts it: `portus up`, on free ports and a folder of its own."""

import os
import signal
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from portus.tests.servers.ports import LOOPBACK, free_port
from portus.tests.servers.process import Process
from portus.tests.servers.registry import RegistryBinary, find_registry_binary
from portus.tests.servers.waiting import seconds_until

PORTUS = Path(sys.executable).parent / "portus"
# What a process of the tree has on its command line.
ROLES = {"registry": "registry.yml", "web": "portus.cli web", "background": "portus.cli background"}


@dataclass(frozen=True)
class RunningPortus:
    process: Process
    data: Path
    port: int
    registry_port: int
    has_registry: bool = True
    prefix: str = ""
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}{self.prefix}"

    @property
    def registry_address(self) -> str:
        """As a container client names the registry; it is the name of the token service too."""
        return f"localhost:{self.registry_port}"

    @property
    def environ(self) -> dict[str, str]:
        """What its commands see, for one that is run beside it."""
        return self.process.environ

    @property
    def storage(self) -> Path:
        return self.data / "registry"

    def start(self) -> None:
        """Return when Portus answers; raise ServerError with its last words when it does not."""
        self.process.start()
        self.process.wait_until(self._answers, seconds=60)

    def stop(self) -> int | None:
        """End it as Ctrl-C does; the exit status."""
        return self.process.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def pid(self, role: str) -> int | None:
        """The process of a role: registry, web or background; `worker` is the first of those that web has."""
        if role == "worker":
            web = self.pid("web")
            return next(iter(_children(web)), None) if web else None
        return next((child for child in _children(self.process.pid) if ROLES[role] in command_of(child)), None)

    def kill(self, role: str) -> int:
        """End the process of a role as a crash would; what its process id was."""
        pid = self.pid(role)
        assert pid is not None, f"no {role} is running"
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_for(self, role: str, *, other_than: int, seconds: float = 15) -> int:
        """Return the process id of a role that was started again."""
        seconds_until(
            lambda: self.pid(role) not in {None, other_than},
            most=seconds,
            why=lambda: f"no {role} came back:\n{self.process.last_lines()}",
        )
        pid = self.pid(role)
        assert pid is not None
        return pid

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask its SQLite database, which it goes on using."""
        with closing(sqlite3.connect(f"file:{self.data / 'portus.sqlite3'}?mode=ro", uri=True, timeout=20)) as database:
            return database.execute(query, parameters).fetchall()

    def bootstrap(self, username: str, password: str) -> str:
        """Create the first user, an administrator, over HTTP; the value of her first application token."""
        user = {"username": username, "email": f"{username}@test.lan", "password": password}
        answer = httpx.post(
            f"{self.url}/api/v1/users/bootstrap", json={"user": user}, timeout=20, trust_env=False, verify=False
        )
        return str(answer.raise_for_status().json()["plain_token"])

    def tree(self) -> set[int]:
        """All processes: supervisor's, its children, theirs."""
        found, new = set(), {self.process.pid}
        while new:
            found |= new
            new = {child for pid in new for child in _children(pid)} - found
        return found

    def log(self) -> str:
        return self.process.log()

    def _answers(self) -> bool:
        addresses = [f"{self.scheme}://{LOOPBACK}:{self.port}{self.prefix}/api/v1/_ping"]
        if self.has_registry:
            addresses.append(f"http://{LOOPBACK}:{self.registry_port}/v2/")
        try:
            answers = [httpx.get(at, timeout=5, trust_env=False, verify=False) for at in addresses]
        except httpx.TransportError:
            return False
        return all(answer.status_code in {200, 401} for answer in answers)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def command_of(pid: int) -> str:
    """The command line of a process, "" for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def prepare_portus(
    folder: Path,
    *,
    environ: Mapping[str, str] | None = None,
    registry: RegistryBinary | None = None,
    has_registry: bool = True,
    prefix: str = "",
    scheme: str = "http",
) -> RunningPortus:
    """Return Portus as it could be started, with its state below folder.

    It finds `registry`, or a registry 2.8 where none is given; an environ with a PATH of its own decides that itself.
    Nothing of our environment reaches it except the PATH; environ is added. has_registry, prefix and scheme only tell
    us how it is reached, when environ makes that different.
    """
    folder.mkdir(parents=True, exist_ok=True)
    registry = registry or find_registry_binary("2.8")
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    if registry:
        (programs / "registry").symlink_to(registry.path)
    port, registry_port = free_port(), free_port()
    variables = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PORTUS_DATA": str(folder / "data"),
        "PORTUS_PORT": str(port),
        "REGISTRY_PORT": str(registry_port),
        **(environ or {}),
    }
    process = Process(
        [PORTUS, "up"], log=folder / "portus.log", environ=variables, stop_signal=signal.SIGINT, cwd=folder
    )
    data = Path(variables["PORTUS_DATA"])
    ports = int(variables["PORTUS_PORT"]), int(variables["REGISTRY_PORT"])
    return RunningPortus(process, data, *ports, has_registry, prefix, scheme)


def start_portus(folder: Path, **options: Any) -> RunningPortus:
    """Start Portus with its state below folder and return when it is ready; the options are those of prepare_portus."""
    running = prepare_portus(folder, **options)
    running.start()
    return running
