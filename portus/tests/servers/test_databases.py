"""The database servers of the tests accept connections, and are gone when they are stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import MySQLdb
import psycopg
import pytest

from portus.tests.servers.folders import remove_abandoned, temporary_folder
from portus.tests.servers.mariadb import PASSWORD, start_mariadb
from portus.tests.servers.ports import LOOPBACK, listens
from portus.tests.servers.postgresql import start_postgresql
from portus.tests.servers.waiting import seconds_until

# A run with one server, a program that ends when it is told to.
RUN = """
import signal, sys, time
from pathlib import Path
from portus.tests.servers.process import Process
_, log, user, stop = sys.argv
server = Process(
    ["sleep", "60"], log=Path(log), user=user or None, stop_signal=signal.Signals(int(stop)), cwd=Path("/")
)
server.start()
time.sleep(0.2)
print(server.pid, flush=True)
time.sleep(60)
"""


def test_postgresql_accepts_connections(postgresql_server):
    with psycopg.connect(postgresql_server.url) as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_mariadb_accepts_connections(mariadb_server):
    connection = MySQLdb.connect(
        host=LOOPBACK, port=mariadb_server.port, user="portus", password=PASSWORD, database="portus"
    )
    cursor = connection.cursor()
    cursor.execute("SELECT @@character_set_database")

    assert cursor.fetchone() == ("utf8mb4",)
    connection.close()


@pytest.mark.parametrize("start", [start_postgresql, start_mariadb])
def test_a_stopped_server_is_gone(start, postgresql_server, mariadb_server):
    server = start()

    server.stop()

    assert not server.folder.exists()
    assert not listens(server.port)


def test_what_a_killed_run_left_is_removed_and_nothing_else():
    ours = temporary_folder("data")
    gone = subprocess.Popen(["true"])
    gone.wait()
    abandoned = ours.with_name(ours.name.replace(f"-{os.getpid()}-", f"-{gone.pid}-"))
    abandoned.mkdir()

    remove_abandoned()

    assert ours.exists()
    assert not abandoned.exists()
    ours.rmdir()


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("user", [None, "nobody"])
def test_a_killed_run_leaves_no_server_behind(tmp_path, user, stop_signal):
    if user and os.geteuid() != 0:
        pytest.skip("NOT RUN: servers of another user, for want of root")
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, tmp_path / "log", user or "", str(int(stop_signal))],
        stdout=subprocess.PIPE,
        text=True,
    )
    server = int(run.stdout.readline())
    os.kill(server, 0)

    run.kill()
    run.wait()
    run.stdout.close()

    seconds_until(lambda: not Path(f"/proc/{server}").exists(), most=5)


def test_the_settings_are_those_of_the_run_and_not_of_the_shell():
    assert "PORTUS_TEST_DATABASE" not in os.environ
    assert os.environ["PORTUS_DATA"].startswith("/tmp")
