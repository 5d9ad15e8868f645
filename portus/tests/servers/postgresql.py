"""A PostgreSQL server of our own: an empty cluster in a temporary folder, gone afterwards."""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from portus.tests.servers.folders import temporary_folder
from portus.tests.servers.ports import LOOPBACK, free_port
from portus.tests.servers.process import Process, ServerError, identity, run

TOOLS = Path(__file__).parents[3] / ".tools"
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "jit": "off",
    "shared_buffers": "32MB",
}


@dataclass(frozen=True)
class RunningPostgresql:
    process: Process
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """For DATABASE_URL."""
        return f"postgresql://portus@{LOOPBACK}:{self.port}/portus"

    def stop(self) -> None:
        self.process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def find_postgresql() -> Path | None:
    """The folder with initdb and postgres: on the PATH, where Debian installs it, or where bin/test unpacked it."""
    found = shutil.which("postgres")
    places = [Path(found).resolve().parent] if found else []
    for root in (Path("/"), TOOLS / "postgresql"):
        places += sorted(root.glob("usr/lib/postgresql/*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


def start_postgresql() -> RunningPostgresql:
    """Start a server that trusts every local client and does not care for its data; raise ServerError."""
    programs = find_postgresql()
    if programs is None:
        raise ServerError("PostgreSQL's programs initdb and postgres are not here; bin/test fetches them.")
    # PostgreSQL refuses to run as root, and nobody else may enter the temporary folders of pytest.
    folder = temporary_folder("postgresql")
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
        programs = _reachable(programs, folder, user)
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", **_libraries(programs)}
    cluster = folder / "cluster"
    initdb: list[str | Path] = [
        programs / "initdb",
        "-D",
        cluster,
        "-U",
        "portus",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    run(initdb, environ=environ, user=user)
    # The server's single-user mode makes the database without a client program.
    create: list[str | Path] = [programs / "postgres", "--single", "-D", cluster, "postgres"]
    run(create, environ=environ, user=user, text="CREATE DATABASE portus\n")

    port = free_port()
    settings = SETTINGS | {"port": str(port), "unix_socket_directories": str(folder)}
    process = Process(
        [programs / "postgres", "-D", cluster, *(f"--{key}={value}" for key, value in settings.items())],
        log=folder / "server.log",
        environ=environ,
        user=user,
        stop_signal=signal.SIGINT,  # at SIGTERM it waits for every client to leave
    )
    process.start()
    process.wait_until(lambda: "ready to accept connections" in process.log())
    return RunningPostgresql(process, folder, port)


def _reachable(programs: Path, folder: Path, user: str) -> Path:
    """The programs, or a copy of unpacked ones when user may not enter the checkout (one below /root, say)."""
    test = ["setpriv", *identity(user), "--", "test", "-x", str(programs / "postgres")]
    if subprocess.run(test, check=False, cwd="/").returncode == 0:
        return programs
    unpacked = programs.parents[4]
    copy = folder / "programs"
    shutil.copytree(unpacked, copy, symlinks=True)
    return copy / programs.relative_to(unpacked)


def _libraries(programs: Path) -> dict[str, str]:
    """The shared libraries that were unpacked beside the programs; none for an installed PostgreSQL."""
    folders = {str(library.parent) for library in programs.parents[4].glob("usr/lib/*-linux-*/*.so.*")}
    return {} if programs.is_relative_to("/usr") else {"LD_LIBRARY_PATH": ":".join(sorted(folders))}
