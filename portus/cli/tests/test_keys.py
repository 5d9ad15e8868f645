import subprocess

import pytest


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    return path


def test_it_does_not_replace_a_key_of_the_operator(portus, key):
    before = key.read_bytes()

    done = portus("keys", "rotate", PORTUS_KEY_PATH=str(key))

    assert done.returncode == 1
    assert done.stderr == (
        "Error: PORTUS_KEY_PATH names a key of yours: replace that file and its certificate, and tell the registries.\n"
    )
    assert key.read_bytes() == before


def test_it_says_what_is_missing_before_anything_was_prepared(portus):
    done = portus("keys", "rotate")

    assert done.returncode == 1
    assert "`portus migrate`" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_keeps_the_root(portus, migrated):
    keys = migrated / "keys"
    root, leaf = (keys / "root.crt").read_bytes(), (keys / "signing.crt").read_bytes()

    assert portus("keys", "rotate").returncode == 0

    assert (keys / "root.crt").read_bytes() == root
    assert (keys / "signing.crt").read_bytes() != leaf
    assert "ok     keys" in portus("doctor").stdout


def test_it_says_that_the_root_key_is_kept_elsewhere(portus, migrated):
    (migrated / "keys/root.key").unlink()

    done = portus("keys", "rotate")

    assert done.returncode == 1
    assert "root.key" in done.stderr
