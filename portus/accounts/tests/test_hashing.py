"""Every door to the hashing says which client it hashes for."""

import base64
import json

import pytest

from portus.accounts import backends
from portus.accounts.hashing import Room, client_at

HERE, ELSEWHERE = "192.0.2.7", "192.0.2.8"
NEW = "another password"


@pytest.fixture
def hashing_for_here(monkeypatch):
    """Let the room be as while it hashes for a client at HERE, who may have no second place."""
    room = Room(at_once=2, inside=2, patience_seconds=0.01)
    monkeypatch.setattr(backends, "_room", room)
    room._clients.add(client_at(HERE))


def token(client, password, **options):
    value = base64.b64encode(f"alice:{password}".encode()).decode()
    return client.get("/v2/token?service=x", headers={"Authorization": f"Basic {value}"}, **options)


def page(client, password, **options):
    return client.post("/users/sign_in", {"login": "alice", "password": password}, **options)


def profile_page(client, password, **options):
    fields = {"password-current": password, "password-password": NEW, "password-confirmation": NEW}
    return client.post("/users/edit/password", fields, **options)


def profile_api(client, password, **options):
    body = json.dumps({"user": {"password": NEW, "current_password": password}})
    return client.put("/api/v1/profile", body, content_type="application/json", **options)


@pytest.mark.parametrize("door", [token, page, profile_page, profile_api])
def test_a_door_tells_the_clients_behind_a_proxy_apart(cast, client, password, hashing_for_here, door):
    if door in {profile_page, profile_api}:
        client.force_login(cast.alice)

    refused = door(client, password, HTTP_X_FORWARDED_FOR=HERE)
    passed = door(client, password, HTTP_X_FORWARDED_FOR=ELSEWHERE)

    assert (refused.status_code, refused["Retry-After"]) == (429, "2")
    assert passed.status_code in {200, 302}


def test_djangos_own_door_too(cast, rf, password, hashing_for_here):
    backend = backends.PasswordBackend()

    assert backend.authenticate(rf.get("/", REMOTE_ADDR=HERE), "alice", password) is None
    assert backend.authenticate(rf.get("/", REMOTE_ADDR=ELSEWHERE), "alice", password) == cast.alice


@pytest.mark.parametrize("others", [HERE, "::ffff:192.0.2.7"])
def test_addresses_of_one_client(others):
    assert client_at(others) == client_at(HERE)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        (HERE, ELSEWHERE, False),
        ("::1", "127.0.0.1", False),
        ("", HERE, False),
        ("no address", "", False),
    ],
)
def test_who_is_one_client(one, other, same):
    assert (client_at(one) == client_at(other)) is same
