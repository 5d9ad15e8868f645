import os
import stat
import threading

import click
import pytest

from portus.cli import place


def test_a_lock_is_held_until_its_descriptor_is_closed(tmp_path):
    lock = place.take_lock(tmp_path, "http://localhost:3000")

    with pytest.raises(click.ClickException, match=r"is running in .* already"):
        place.take_lock(tmp_path, "http://localhost:4000")
    assert place.running_url(tmp_path) == "http://localhost:3000"
    os.close(lock)

    assert place.running_url(tmp_path) is None
    os.close(place.take_lock(tmp_path, "http://localhost:4000"))


def test_who_only_looks_does_not_keep_anybody_from_starting(tmp_path):
    os.close(place.take_lock(tmp_path, "http://localhost:3000"))
    stop = threading.Event()
    looking = threading.Thread(target=lambda: [place.running_url(tmp_path) for _ in iter(stop.is_set, True)])
    looking.start()
    try:
        for _ in range(20):
            os.close(place.take_lock(tmp_path, "http://localhost:3000"))
    finally:
        stop.set()
        looking.join()


@pytest.mark.parametrize(("environ", "url"), [({}, "http://x:1"), ({"PORTUS_PUBLIC_URL": "http://y"}, "http://y")])
def test_a_command_beside_it_knows_its_address(tmp_path, environ, url):
    lock = place.take_lock(tmp_path, "http://x:1")
    environ = {"PORTUS_DATA": str(tmp_path), **environ}

    place.adopt(environ)
    os.close(lock)

    assert environ["PORTUS_PUBLIC_URL"] == url


def test_an_address_of_yesterday_is_not_believed(tmp_path):
    os.close(place.take_lock(tmp_path, "http://x:1"))
    environ = {"PORTUS_DATA": str(tmp_path)}

    place.adopt(environ)

    assert "PORTUS_PUBLIC_URL" not in environ


def test_a_secret_is_made_once_and_for_us_alone(tmp_path):
    first, second = place.keep_secret(tmp_path / "secret"), place.keep_secret(tmp_path / "secret")

    assert first == second
    assert len(first) == 128
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_of_many_that_make_a_secret_at_once_all_get_the_same(tmp_path):
    made = []
    threads = [threading.Thread(target=lambda: made.append(place.keep_secret(tmp_path / "secret"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 16
    assert set(made) == {place.keep_secret(tmp_path / "secret")}


@pytest.mark.parametrize(
    ("address", "where"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("10.0.0.1", "10.0.0.1")],
)
def test_where_something_can_be_reached_that_listens(address, where):
    assert place.connectable(address) == where


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("127.0.0.1", "localhost"),
        ("localhost", "localhost"),
        ("0.0.0.0", "localhost"),
        ("::", "localhost"),
        ("::1", "[::1]"),
        ("192.168.1.2", "192.168.1.2"),
        ("images.test", "images.test"),
    ],
)
def test_how_people_call_what_listens(address, name):
    assert place.host_name(address) == name
