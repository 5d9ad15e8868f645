"""One's own profile over the API."""

import pytest
from django.test import Client

from portus.accounts import hashing
from portus.accounts.backends import FAILURES_UNTIL_LOCK, Outcome, authenticate_basic
from portus.accounts.hashing import Room
from portus.accounts.models import SignInFailure, User
from portus.accounts.operations import create_token
from portus.activities.models import Activity

pytestmark = pytest.mark.django_db


@pytest.fixture
def dave(as_user):
    return as_user("dave")


def test_nobody_has_none(client, cast):
    for method, path in (("get", "profile"), ("put", "profile"), ("get", "profile/application_tokens")):
        assert getattr(client, method)(f"/api/v1/{path}").status_code == 401


@pytest.mark.parametrize("who", ["ada", "alice", "bob", "carol", "dave"])
def test_everybody_sees_herself(as_user, cast, who):
    body = as_user(who).get("/profile").json()

    assert (body["id"], body["username"], body["admin"]) == (getattr(cast, who).pk, who, who == "ada")


def test_a_bot_sees_itself_and_changes_nothing(make_user, cast, client):
    robot = make_user("robot", bot=True)
    headers = {"Portus-Auth": f"robot:{create_token(robot, 'builds', actor=cast.ada)[1]}"}

    assert client.get("/api/v1/profile", headers=headers).json()["bot"] is True
    assert client.put("/api/v1/profile?user[email]=a@b", headers=headers).status_code == 403
    assert User.objects.get(pk=robot.pk).email == "robot@test.lan"


def test_address_and_name_are_changed_without_a_password(dave, cast):
    changes = {"email": "New@test.lan", "display_name": "Dave D.", "username": "root", "admin": True, "bot": True}

    response = dave.put("/profile", {"user": changes})

    user = User.objects.get(pk=cast.dave.pk)
    assert (response.status_code, response.json()["email"]) == (200, "new@test.lan")
    assert (user.email, user.display_name) == ("new@test.lan", "Dave D.")
    assert (user.username, user.admin, user.bot) == ("dave", False, False)
    assert Activity.objects.get(key="user.update").parameters == {"fields": "email, display_name", "old": "dave"}


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        ({}, 400, {'["user"]': ["is missing"]}),
        ({"user": {"email": []}}, 400, {'["user[email]"]': ["is invalid"]}),
        ({"user": {"email": ""}}, 422, {"email": ["can't be blank"]}),
        ({"user": {"email": "alice@test.lan"}}, 422, {"email": ["has already been taken"]}),
        ({"user": {"display_name": "x" * 256}}, 422, {"display_name": ["is too long (maximum is 255 characters)"]}),
    ],
)
def test_what_is_refused(dave, cast, data, status, message):
    response = dave.put("/profile", data)

    assert (response.status_code, response.json()["message"]) == (status, message)
    assert User.objects.get(pk=cast.dave.pk).email == "dave@test.lan"


# The password


@pytest.mark.parametrize("current", [{}, {"current_password": ""}, {"current_password": "wrong"}])
def test_a_token_is_not_enough_for_another_password(dave, password, current):
    response = dave.put("/profile", {"user": {"password": "another one", "email": "new@test.lan", **current}})

    message = {"current_password": ["This is not your current password."]}
    assert (response.status_code, response.json()["message"]) == (422, message)
    assert authenticate_basic("dave", password)[0] is Outcome.OK
    assert User.objects.get(username="dave").email == "dave@test.lan"


def test_with_the_current_one_there_is_another(dave, cast, password):
    response = dave.put("/profile", {"user": {"password": "another one", "current_password": password}})

    assert response.status_code == 200
    assert authenticate_basic("dave", "another one")[0] is Outcome.OK
    assert authenticate_basic("dave", password)[0] is Outcome.WRONG
    assert Activity.objects.get(key="user.change_password").actor == cast.dave


@pytest.mark.parametrize(("new", "reason"), [("", "can't be blank"), ("x", "is too short (minimum is 8 characters)")])
def test_another_one_keeps_the_rules(dave, password, new, reason):
    response = dave.put("/profile", {"user": {"password": new, "current_password": password}})

    assert (response.status_code, response.json()["message"]) == (422, {"password": [reason]})


def test_wrong_ones_count_as_at_the_sign_in(dave, password):
    for number in range(FAILURES_UNTIL_LOCK):
        dave.put("/profile", {"user": {"password": "another one", "current_password": f"wrong {number}"}})

    response = dave.put("/profile", {"user": {"password": "another one", "current_password": password}})

    assert SignInFailure.objects.filter(name_key="dave").count() == FAILURES_UNTIL_LOCK
    assert response.status_code == 422
    assert list(response.json()["message"]) == ["current_password"]


def test_when_too_many_are_being_checked_it_is_429(dave, password, monkeypatch):
    monkeypatch.setattr(hashing, "room", Room(at_once=1, inside=1, patience_seconds=0))

    with hashing.room._inside:
        response = dave.put("/profile", {"user": {"password": "another one", "current_password": password}})

    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0


@pytest.mark.parametrize("path", ["profile", "users/{ada}"])
def test_the_session_that_changes_it_goes_on_and_others_end(cast, password, path):
    browser, other = Client(), Client()
    browser.force_login(cast.ada)
    other.force_login(cast.ada)
    changes = {"user": {"password": "another one", "current_password": password}}

    response = browser.put(f"/api/v1/{path}".format(ada=cast.ada.pk), changes, content_type="application/json")

    assert response.status_code == 200
    assert browser.get("/api/v1/profile").status_code == 200
    assert other.get("/api/v1/profile").status_code == 401
