"""A MariaDB server of our own: an empty data folder, no configuration of the system, gone afterwards."""

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from portus.tests.servers.folders import temporary_folder
from portus.tests.servers.ports import LOOPBACK, free_port
from portus.tests.servers.process import Process, ServerError, run

PASSWORD = "portus"
ACCOUNTS = f"""\
CREATE DATABASE portus CHARACTER SET utf8mb4;
CREATE USER portus@'{LOOPBACK}' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON *.* TO portus@'{LOOPBACK}';
"""


@dataclass(frozen=True)
class RunningMariadb:
    process: Process
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """For DATABASE_URL."""
        return f"mysql2://portus:{PASSWORD}@{LOOPBACK}:{self.port}/portus"

    def stop(self) -> None:
        self.process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def find_mariadb() -> tuple[str, str] | None:
    """The programs mariadbd and mariadb-install-db, also where the PATH of a plain user has no /usr/sbin."""
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/bin"
    server, installer = shutil.which("mariadbd", path=path), shutil.which("mariadb-install-db", path=path)
    return (server, installer) if server and installer else None


def start_mariadb() -> RunningMariadb:
    """Start a server that does not care for its data; raise ServerError."""
    programs = find_mariadb()
    if programs is None:
        raise ServerError("mariadbd is not here: install Debian's mariadb-server-core and mariadb-client-core.")
    server, installer = programs
    folder = temporary_folder("mariadb")
    data = folder / "data"
    common = [f"--datadir={data}", *(["--user=root"] if os.geteuid() == 0 else [])]
    environ = {"PATH": f"{os.environ['PATH']}:/usr/sbin", "TZ": "UTC", "HOME": str(folder)}
    quick = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
    run([installer, "--no-defaults", *common, *quick], environ=environ)
    accounts = folder / "accounts.sql"
    accounts.write_text(ACCOUNTS)

    port = free_port()
    settings = {
        "bind-address": LOOPBACK,
        "port": port,
        "socket": folder / "socket",
        "pid-file": folder / "pid",
        "init-file": accounts,
        "character-set-server": "utf8mb4",
        "skip-name-resolve": 1,
        "innodb-flush-log-at-trx-commit": 0,
        "innodb-flush-method": "nosync",
        "innodb-log-file-size": "32M",
        "innodb-buffer-pool-size": "64M",
        "performance-schema": 0,
    }
    process = Process(
        [server, "--no-defaults", *common, *(f"--{key}={value}" for key, value in settings.items())],
        log=folder / "server.log",
        environ=environ,
        stop_signal=signal.SIGTERM,
    )
    process.start()
    process.wait_until(lambda: "ready for connections" in process.log())
    return RunningMariadb(process, folder, port)
