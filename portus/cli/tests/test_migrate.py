"""`portus migrate`, on each database: as a deployment runs it before its servers start."""

import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time

import pytest

from portus.tests.servers.ports import free_port
from portus.tests.servers.portus import PORTUS

QUICKLY = 30  # seconds; far less than the 90 of patience


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request):
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def open_umask():
    """What most shells have: files are made for all to read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def database(server, name):
    return re.sub(r"/[^/]*$", f"/{name}", server.url)


def test_it_does_not_wait_for_a_password_to_become_right(portus, server):
    began = time.monotonic()

    done = portus("migrate", DATABASE_URL=re.sub("//[^@]*@", "//nobody:guess@", server.url))

    assert done.returncode == 1
    assert re.fullmatch(r"Error: The database portus on 127.0.0.1 cannot be used: .*nobody.*\n", done.stderr)
    assert time.monotonic() - began < QUICKLY


def test_it_makes_a_database_that_is_missing(portus, server):
    url = database(server, f"not%20there_{os.getpid()}")

    first, second = portus("migrate", DATABASE_URL=url), portus("migrate", DATABASE_URL=url)

    assert first.returncode == 0, first.stderr
    assert "Making the database not there" in first.stderr
    assert (second.returncode, second.stderr) == (0, "")


def test_it_waits_for_a_server_that_is_not_up_yet(portus, server, tmp_path):
    environ = {"PATH": os.environ["PATH"], "PORTUS_DATA": str(tmp_path / "data"), "DATABASE_URL": server.url}
    server.process.stop()
    try:
        migrating = subprocess.Popen([PORTUS, "migrate"], env=environ, stderr=subprocess.PIPE, text=True)
        said = migrating.stderr.readline()
    finally:
        server.process.start()
    rest = migrating.communicate(timeout=90)[1]

    assert said.startswith("Waiting for the database portus on 127.0.0.1: ")
    assert migrating.returncode == 0, rest


def test_it_makes_what_is_missing_and_keeps_what_is_there(portus, tmp_path):
    data = tmp_path / "data"
    names = ("secret_key_base", "keys/root.crt", "keys/signing.key", "assets.stamp")

    assert portus("migrate").returncode == 0
    before = [(data / name).read_bytes() for name in names]
    done = portus("migrate")

    assert (done.returncode, done.stderr) == (0, "")
    assert [(data / name).read_bytes() for name in names] == before
    assert stat.S_IMODE((data / "secret_key_base").stat().st_mode) == 0o600
    assert list((data / "assets").glob("**/*.css"))


def test_nothing_secret_can_be_read_by_others_in_a_folder_that_is_open_to_them(portus, tmp_path, open_umask):
    data = tmp_path / "data"
    data.mkdir(mode=0o755)

    assert portus("migrate").returncode == 0

    names = ("portus.sqlite3", "queue.sqlite3", "secret_key_base", "keys/root.key", "keys/signing.key")
    assert {name: stat.S_IMODE((data / name).stat().st_mode) for name in names} == dict.fromkeys(names, 0o600)
    assert "ok     files" in portus("doctor").stdout
    (data / "portus.sqlite3").chmod(0o644)
    assert f"WRONG  files: {data}/portus.sqlite3" in portus("doctor").stdout


def test_it_makes_no_secret_where_the_operator_has_one(portus, tmp_path):
    assert portus("migrate", PORTUS_SECRET_KEY_BASE="0123456789" * 6).returncode == 0
    assert not (tmp_path / "data/secret_key_base").exists()


def test_it_makes_no_key_where_the_operator_has_one(portus, tmp_path):
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)

    assert portus("migrate", PORTUS_KEY_PATH=str(key)).returncode == 0
    assert not (tmp_path / "data/keys").exists()


def test_it_registers_the_registry_that_the_environment_names_once(portus, migrated):
    named = {"PORTUS_INIT_REGISTRY_HOSTNAME": "registry.test:5000", "PORTUS_INIT_REGISTRY_USE_SSL": "false"}

    first = portus("migrate", **named)
    second = portus("migrate", **{**named, "PORTUS_INIT_REGISTRY_HOSTNAME": "other.test"})

    warning = (
        "The notifications of registry carry no secret, so anybody can forge them: run `portus registry secret "
        "registry`.\n"
    )
    assert first.stderr.endswith(f"Registered registry.test:5000 as registry.\n{warning}")
    assert (second.returncode, second.stderr) == (0, warning)
    listed = portus("registry", "list").stdout
    assert listed == ("registry: http://registry.test:5000, notifications WITHOUT SECRET, token_key_header automatic\n")


def test_it_says_what_is_wrong_with_that_registry(portus):
    done = portus("migrate", PORTUS_INIT_REGISTRY_HOSTNAME="http://x/", PORTUS_INIT_REGISTRY_USE_SSL="on")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: http://x/ cannot be registered: Enter a host name")


def test_it_says_that_the_folder_cannot_be_written(portus, tmp_path):
    (tmp_path / "file").touch()

    done = portus("migrate", PORTUS_DATA=str(tmp_path / "file/data"))

    assert done.returncode == 1
    assert "is not writable (Not a directory): set PORTUS_DATA" in done.stderr


def test_static_files_are_collected_anew_when_the_old_ones_are_gone(portus, migrated, tmp_path):
    before = {path.name for path in (migrated / "assets").rglob("*.css")}
    (migrated / "assets").rename(tmp_path / "gone")

    portus("migrate")

    assert {path.name for path in (migrated / "assets").rglob("*.css")} == before


def test_only_what_is_missing_is_migrated(portus, migrated):
    """A database that an older version made has fewer migrations; here the last of ours is forgotten."""
    with sqlite3.connect(migrated / "portus.sqlite3") as connection:
        connection.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        connection.execute("DROP TABLE django_session")
    connection.close()

    done = portus("doctor")
    assert "WRONG  migrations: 1 are missing (sessions.0001_initial first): run `portus migrate`." in done.stdout

    assert portus("migrate").returncode == 0
    assert "ok     migrations" in portus("doctor").stdout


def test_a_certificate_that_ends_soon_is_replaced(portus, migrated):
    keys = migrated / "keys"
    make_leaf_end_soon(keys)

    done = portus("migrate")

    assert (done.returncode, done.stderr) == (0, "The signing certificate was about to end; there is a new one.\n")
    assert "ok     keys" in portus("doctor").stdout


def test_without_the_key_of_the_root_it_goes_on_and_says_so(portus, migrated):
    keys = migrated / "keys"
    make_leaf_end_soon(keys)
    (keys / "root.key").unlink()

    done = portus("migrate")

    assert done.returncode == 0
    assert done.stderr.startswith("The signing certificate ends soon and cannot be replaced: ")


def test_it_says_what_to_restore_when_the_key_of_the_root_is_needed(portus, migrated):
    keys = migrated / "keys"
    (keys / "root.key").unlink()
    (keys / "signing.key").unlink()

    refused = portus("migrate")
    (keys / "root.crt").unlink()
    mended = portus("migrate")

    assert refused.returncode == 1
    assert f"There is no {keys}/root.key, which signs new keys: restore it from a backup; or remove " in refused.stderr
    assert mended.returncode == 0
    assert "ok     keys" in portus("doctor").stdout


def test_it_says_that_a_file_is_no_database(portus, migrated):
    file = migrated / "portus.sqlite3"
    for path in file.parent.glob("portus.sqlite3-*"):
        path.unlink()
    file.write_bytes(b"junk" * 5000)

    done = portus("migrate")

    assert done.returncode == 1
    assert done.stderr == f"Error: The database {file} cannot be used: file is not a database\n"


def test_without_its_folder_the_doctor_asks_for_it(portus):
    said = portus("doctor").stdout

    assert "or set PORTUS_DATA to the folder where Portus keeps its data.\n" in said
    assert "PORTUS_DB" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("command", ["up", "migrate", "config", "doctor"])
@pytest.mark.parametrize("closed", ["data", "data/keys"])
def test_data_of_another_user_is_a_sentence(migrated, tmp_path, command, closed):
    for folder in (*reversed(tmp_path.parents), tmp_path):
        if folder.is_relative_to(tempfile.gettempdir()) and str(folder) != tempfile.gettempdir():
            folder.chmod(0o755)
    shutil.chown(tmp_path / "data", 65534)
    for path in (tmp_path / "data").rglob("*"):
        shutil.chown(path, 65534)
    shutil.chown(tmp_path / closed, 0)
    (tmp_path / closed).chmod(0o700)

    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", PORTUS, command],
        check=False, capture_output=True, text=True, cwd=tmp_path, timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PORTUS_DATA": str(tmp_path / "data"),
             "PORTUS_PORT": str(free_port()), "REGISTRY_PORT": str(free_port())},
    )  # fmt: skip

    assert "Traceback" not in done.stderr
    assert (command, closed) == ("config", "data/keys") or "Permission denied" in done.stdout + done.stderr


def make_leaf_end_soon(keys):
    code = (
        "import django; django.setup(); from datetime import timedelta; from pathlib import Path;"
        "from portus.registry import signing; signing.LEAF_LIFE = timedelta(days=20);"
        f"signing.rotate_leaf(Path({str(keys)!r}))"
    )
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "portus.settings"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environ)
