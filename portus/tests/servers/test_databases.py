"""The database servers of the tests accept connections, and are gone when they are stopped."""

import os

import MySQLdb
import psycopg
import pytest

from portus.tests.servers.mariadb import PASSWORD, start_mariadb
from portus.tests.servers.ports import LOOPBACK, listens
from portus.tests.servers.postgresql import start_postgresql


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


def test_the_settings_are_those_of_the_run_and_not_of_the_shell():
    assert "PORTUS_TEST_DATABASE" not in os.environ
    assert os.environ["PORTUS_DATA"].startswith("/tmp")
