"""`portus registry`: what an operator needs who runs a registry of his own."""

import hashlib
import sqlite3

import pytest
import yaml

from portus.tests.servers.ports import free_port


@pytest.fixture
def prepared(portus, migrated):
    return lambda *arguments, **options: portus(
        "registry", *arguments, PORTUS_PUBLIC_URL="http://portus.test", **options
    )


def stored_digests(tmp_path):
    with sqlite3.connect(tmp_path / "data/portus.sqlite3") as connection:
        rows = connection.execute("SELECT name, notification_secret_digest FROM registry_registry").fetchall()
    connection.close()
    return dict(rows)


def secret_in(configuration):
    header = configuration["notifications"]["endpoints"][0]["headers"]["Authorization"]
    return header[0].removeprefix("Bearer ")


def test_it_does_not_add_what_does_not_answer(prepared, tmp_path):
    hostname = f"127.0.0.1:{free_port()}"

    done = prepared("add", hostname, "--no-ssl")

    assert done.returncode == 1
    assert done.stderr == (
        f"Error: The registry {hostname} refuses the connection: is it running, and is the port right? --force adds it "
        "nevertheless.\n"
    )
    assert stored_digests(tmp_path) == {}


def test_it_does_not_add_a_name_that_is_none(prepared):
    done = prepared("add", "http://registry.test/", "--force")

    assert done.returncode == 1
    assert done.stderr.startswith("Error: Enter a host name")


def test_it_does_not_add_one_twice(prepared):
    prepared("add", "registry.test", "--force")

    done = prepared("add", "registry.test", "--force")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("secret",), ("configuration",), ("set", "--token-key-header", "x5c")])
def test_it_knows_which_there_are(prepared, arguments):
    prepared("add", "registry.test", "--force", "--name", "ours")

    done = prepared(*arguments, "other")

    assert done.returncode == 1
    assert done.stderr == "Error: There is no registry other; there is: ours.\n"


@pytest.mark.parametrize("secret", ["short", "with blanks in it, which no header can carry", "ü" * 20])
def test_it_takes_no_bad_secret(prepared, tmp_path, secret):
    prepared("add", "registry.test", "--force")
    before = stored_digests(tmp_path)

    done = prepared("secret", "registry.test", "--from-file", "-", text=secret)

    assert done.returncode == 1
    assert secret not in done.stderr
    assert stored_digests(tmp_path) == before


def test_one_that_was_added_works_with_what_was_printed(prepared, portus, start_registry, registry_binary, tmp_path):
    """The printed configuration is given to a real registry, and the doctor finds nothing to mend."""
    port = free_port()
    added = prepared("add", f"127.0.0.1:{port}", "--no-ssl", "--name", "ours", "--force")
    printed = yaml.safe_load(added.stdout)

    assert added.returncode == 0, added.stderr
    sections = {name: printed[name] for name in ("auth", "notifications")}
    start_registry(registry_binary, port=port, extra={**sections, "storage": printed["storage"]})
    found = portus("doctor", PORTUS_PUBLIC_URL="http://portus.test")

    assert found.returncode == 0, found.stdout
    assert stored_digests(tmp_path) == {"ours": hashlib.sha256(secret_in(printed).encode()).hexdigest()}
    assert printed["auth"]["token"]["realm"] == "http://portus.test/v2/token"
    assert printed["notifications"]["endpoints"][0]["url"] == "http://portus.test/v2/webhooks/events"


def test_one_that_answers_is_added_without_force(prepared, start_registry, registry_binary):
    registry = start_registry(registry_binary)

    done = prepared("add", registry.address, "--no-ssl")

    assert done.returncode == 0, done.stderr
    assert prepared("list").stdout.startswith(
        f"{registry.address}: http://{registry.address}, notifications with secret"
    )


def test_a_new_secret_replaces_the_old_one_and_is_printed_once(prepared, tmp_path):
    first = yaml.safe_load(prepared("add", "registry.test", "--force").stdout)
    second = yaml.safe_load(prepared("secret", "registry.test").stdout)

    assert secret_in(first) != secret_in(second)
    assert stored_digests(tmp_path)["registry.test"] == hashlib.sha256(secret_in(second).encode()).hexdigest()
    assert secret_in(second) not in prepared("configuration", "registry.test").stdout


def test_a_secret_may_come_from_a_file(prepared, tmp_path):
    prepared("add", "registry.test", "--force")
    (tmp_path / "secret").write_text("what-my-registry-sends-already\n")

    done = prepared("secret", "registry.test", "--from-file", str(tmp_path / "secret"))

    assert done.returncode == 0
    assert "what-my-registry-sends-already" not in done.stdout
    digest = hashlib.sha256(b"what-my-registry-sends-already").hexdigest()
    assert stored_digests(tmp_path) == {"registry.test": digest}


def test_how_keys_are_named_can_be_set_and_put_back(prepared):
    prepared("add", "registry.test", "--force", "--external-hostname", "images.test")

    assert prepared("set", "registry.test", "--token-key-header", "rfc7638").returncode == 0
    assert prepared("list").stdout == (
        "registry.test: https://registry.test (outside images.test), notifications with secret, token_key_header "
        "rfc7638\n"
    )
    assert prepared("set", "images.test", "--token-key-header", "automatic").returncode == 0
    assert prepared("list").stdout.endswith("token_key_header automatic\n")
