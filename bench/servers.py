"""The servers that are measured: `portus web` on a data set of its own, and `portus up` for the time it takes."""

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import LoadError
from portus.tests.servers.mariadb import RunningMariadb, start_mariadb
from portus.tests.servers.ports import LOOPBACK, free_port
from portus.tests.servers.portus import prepare_portus
from portus.tests.servers.postgresql import RunningPostgresql, start_postgresql
from portus.tests.servers.process import Process

CHECKOUT = Path(__file__).parents[1]
DATABASE_SERVERS: Mapping[str, Callable[[], RunningPostgresql | RunningMariadb]] = {
    "postgresql": start_postgresql,
    "mariadb": start_mariadb,
}
TICKS = os.sysconf("SC_CLK_TCK")
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class WebServer:
    process: Process
    port: int

    @property
    def address(self) -> tuple[str, int]:
        return LOOPBACK, self.port

    def workers(self) -> list[Path]:
        """Return the folders in /proc of the processes that answer requests."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [Path(f"/proc/{child}") for child in children]

    def cpu_seconds(self) -> float:
        return sum(_cpu_seconds(worker) for worker in self.workers())

    def biggest_worker(self) -> float:
        """Return the resident memory of the worker that has most, in MB."""
        return max(_resident(worker) for worker in self.workers())


def _cpu_seconds(process: Path) -> float:
    # After the name, which may hold anything: state is the first field, user and system time the 12th and 13th.
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident(process: Path) -> float:
    pages = int((process / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


@contextmanager
def web_server(folder: Path, database: str, data_set: str, *, tags: bool, workers: int) -> Iterator[WebServer]:
    """Yield a server that answers, on a data set that is made unless the folder has it already."""
    folder /= f"{database}-{data_set}{'' if tags else '-without-tags'}"
    with ExitStack() as stack:
        environ = _environ(folder, workers)
        if database in DATABASE_SERVERS:
            server = DATABASE_SERVERS[database]()
            stack.callback(server.stop)
            environ["DATABASE_URL"] = server.url
        _prepare(folder, environ, data_set, tags=tags)
        process = Process([sys.executable, "-m", "portus.cli", "web"], log=folder / "web.log", environ=environ)
        process.start()
        stack.callback(process.stop)
        web = WebServer(process, int(environ["PORTUS_PORT"]))
        process.wait_until(lambda: _answers(web.port))
        yield web


def _environ(folder: Path, workers: int) -> dict[str, str]:
    """Return an environment that knows nothing of the developer's configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    nothing = folder / "config-local.yml"
    nothing.write_text("{}\n")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(CHECKOUT),
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        "PORTUS_DATA": str(folder),
        "PORTUS_LOCAL_CONFIG_PATH": str(nothing),
        "PORTUS_PORT": str(free_port()),
        "PORTUS_WEB_WORKERS": str(workers),
    }


def _prepare(folder: Path, environ: Mapping[str, str], data_set: str, *, tags: bool) -> None:
    """Migrate, and seed unless that was done; a database server is always a new one."""
    _run("portus.cli", "migrate", environ=environ)
    stamp = folder / "seeded"
    if stamp.exists() and "DATABASE_URL" not in environ:
        return
    _run("django", "seed", data_set, *([] if tags else ["--no-tags"]), environ=environ)
    stamp.touch()


def _run(module: str, *arguments: str, environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], check=False, capture_output=True, text=True, env=dict(environ)
    )
    if done.returncode:
        raise LoadError(f"{module} {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/bench/nothing")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def seconds_until_up() -> float:
    """Return how long `portus up` takes until web server and registry answer, on a place that was up before."""
    with tempfile.TemporaryDirectory(prefix="portus-bench-up-") as folder:
        running = prepare_portus(Path(folder))
        try:
            running.start()
            running.stop()
            started = time.monotonic()
            running.start()
            return time.monotonic() - started
        finally:
            running.stop()
