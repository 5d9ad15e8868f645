"""Every door to the hashing says which client it hashes for; a client signs up only so often."""

import base64
import json

import pytest
from cachetools import TTLCache

from portus.accounts import backends, hashing, operations
from portus.accounts.backends import Outcome
from portus.accounts.hashing import Room, client_at
from portus.accounts.models import User
from portus.accounts.operations import create_user
from portus.accounts.sign_ups import WINDOW_SECONDS, SignUps

HERE, ELSEWHERE = "192.0.2.7", "192.0.2.8"
NEW = "another password"


@pytest.fixture
def hashing_for_here(monkeypatch):
    """Let the room be as while it hashes for a client at HERE, who may have no second place."""
    room = Room(at_once=2, inside=2, patience_seconds=0.01)
    monkeypatch.setattr(hashing, "room", room)
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


# Signing up


def sign_up(client, name="zoe", **options):
    fields = {"username": name, "email": f"{name}@test.lan", "password": NEW, "password_confirmation": NEW}
    return type(client)().post("/users/sign_up", fields, **options)


def bootstrap(client, **options):
    user = {"username": "zoe", "email": "zoe@test.lan", "password": NEW}
    return client.post("/api/v1/users/bootstrap", json.dumps({"user": user}), "application/json", **options)


@pytest.mark.parametrize(("door", "status"), [(sign_up, 302), (bootstrap, 201)])
def test_a_new_password_is_hashed_in_the_room(db, client, hashing_for_here, door, status):
    refused = door(client, HTTP_X_FORWARDED_FOR=HERE)
    assert (refused.status_code, refused["Retry-After"]) == (429, "2")
    assert "Try again in a few seconds." in refused.text
    assert not User.objects.exists()

    assert door(client, HTTP_X_FORWARDED_FOR=ELSEWHERE).status_code == status
    assert backends.check_password("zoe", NEW)[0] is Outcome.OK


def test_a_refused_form_keeps_what_was_entered(cast, client, hashing_for_here):
    page = sign_up(client, HTTP_X_FORWARDED_FOR=HERE).text

    assert 'value="zoe"' in page
    assert 'role="alert"' in page


def test_administrators_do_not_wait_behind_strangers(cast, monkeypatch):
    monkeypatch.setattr(hashing, "room", Room(at_once=1, inside=1, patience_seconds=0))

    with hashing.room._inside:
        create_user(username="zoe", email="zoe@test.lan", password=NEW, actor=cast.ada)

    assert backends.check_password("zoe", NEW)[0] is Outcome.OK


def test_one_client_makes_twenty_accounts_in_ten_minutes(db, client, monkeypatch):
    clock = Clock()
    made = SignUps()
    made._made = TTLCache(maxsize=10, ttl=WINDOW_SECONDS, timer=clock)
    monkeypatch.setattr(operations, "sign_ups", made)
    assert sign_up(client, "bob", HTTP_X_FORWARDED_FOR=ELSEWHERE).status_code == 302
    for number in range(20):
        assert sign_up(client, "bob", HTTP_X_FORWARDED_FOR=HERE).status_code == 422  # is taken, so it does not count
        assert sign_up(client, f"a{number}", HTTP_X_FORWARDED_FOR=HERE).status_code == 302
        clock.now += 29

    refused = sign_up(client, "zoe", HTTP_X_FORWARDED_FOR=HERE)
    assert (refused.status_code, refused["Retry-After"]) == (429, "600")
    assert "Many accounts have been made from your address." in refused.text
    assert not User.objects.filter(username="zoe").exists()
    assert sign_up(client, "eve", HTTP_X_FORWARDED_FOR=ELSEWHERE).status_code == 302

    clock.now += 21
    assert sign_up(client, "zoe", HTTP_X_FORWARDED_FOR=HERE).status_code == 302


def test_without_an_address_nothing_is_limited(db):
    for number in range(21):
        operations.sign_up(username=f"a{number}", email=f"{number}@test.lan", password=NEW)

    assert User.objects.count() == 21


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now
