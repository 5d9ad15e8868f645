"""The whole product as a person starts it: `portus up`, on free ports and a folder of its own."""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from portus.tests.servers.ports import LOOPBACK, free_port
from portus.tests.servers.process import Process

PORTUS = Path(sys.executable).parent / "portus"


@dataclass(frozen=True)
class RunningPortus:
    process: Process
    data: Path
    port: int
    registry_port: int

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def registry_address(self) -> str:
        """As a container client names the registry; it is the name of the token service too."""
        return f"localhost:{self.registry_port}"

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

    def log(self) -> str:
        return self.process.log()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://{LOOPBACK}:{self.port}/api/v1/_ping", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False


def start_portus(folder: Path, *, environ: Mapping[str, str] | None = None) -> RunningPortus:
    """Start Portus with its state below folder and return when it is ready.

    Nothing of our environment reaches it except the PATH; environ is added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, registry_port = free_port(), free_port()
    data = folder / "data"
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PORTUS_DATA": str(data),
        "PORTUS_PORT": str(port),
        "REGISTRY_PORT": str(registry_port),
        **(environ or {}),
    }
    process = Process(
        [PORTUS, "up"], log=folder / "portus.log", environ=variables, stop_signal=signal.SIGINT, cwd=folder
    )
    running = RunningPortus(process, data, port, registry_port)
    running.start()
    return running
