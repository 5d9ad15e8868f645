"""POST /api/v1/users/bootstrap: the first user without a browser, as clients of Portus 2.4 know it."""

import json

import pytest

from portus.accounts import hashing
from portus.accounts.backends import Outcome, authenticate_basic
from portus.accounts.hashing import Room
from portus.accounts.models import ApplicationToken, User
from portus.testing import at_once

pytestmark = pytest.mark.django_db

PATH = "/api/v1/users/bootstrap"
ADA = {"username": "ada", "email": "ada@test.lan", "password": "long enough"}
JSON = "application/json"


@pytest.fixture
def bootstrap(client):
    def post(content=None, *, content_type=JSON, path=PATH, **user):
        body = (
            content
            if isinstance(content, bytes)
            else json.dumps({"user": {**ADA, **user}} if content is None else content)
        )
        return client.post(path, body, content_type=content_type)

    return post


# Refusals


MISSING = "is missing"
INVALID = "is invalid"


def group(**reasons):
    return {f'["user[{name}]"]': [reason] for name, reason in reasons.items()}


ALL_MISSING = {'["user"]': [MISSING], **group(username=MISSING, email=MISSING, password=MISSING)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, ALL_MISSING),
        ([], ALL_MISSING),
        ("x", ALL_MISSING),
        (1, ALL_MISSING),
        (b"null", ALL_MISSING),
        (b"", ALL_MISSING),
        ({"username": "ada"}, ALL_MISSING),
        ({"user": {}}, group(username=MISSING, email=MISSING, password=MISSING)),
        ({"user": {"username": "ada"}}, group(email=MISSING, password=MISSING)),
        ({"user": "ada"}, {'["user"]': [INVALID]}),
        ({"user": ["ada"]}, {'["user"]': [INVALID]}),
        ({"user": None}, {'["user"]': [INVALID]}),
        ({"user": {**ADA, "username": {"a": 1}}}, group(username=INVALID)),
        ({"user": {**ADA, "email": ["a@b"]}}, group(email=INVALID)),
        ({"user": {**ADA, "display_name": {}}}, group(display_name=INVALID)),
        ({"user": {**ADA, "password": "a\0b long enough"}}, group(password=INVALID)),
        ({"user": {**ADA, "username": "\ud800"}}, group(username=INVALID)),
        ({"user": {**ADA, "email": "\udfff@b", "password": "\ud800" * 8}}, group(email=INVALID, password=INVALID)),
    ],
)
def test_parameters_that_are_missing_or_none(bootstrap, content, message):
    response = bootstrap(content)

    assert response.status_code == 400
    assert response.json()["message"] == message
    assert not User.objects.exists()


def test_plain_names_stand_beside_for_the_command_line_client(bootstrap):
    assert bootstrap({"user": {"username": {}}}).json()["errors"] == {
        "username": [INVALID], "email": [MISSING], "password": [MISSING],
    }  # fmt: skip


def test_where_the_option_is_off_the_endpoint_is_too(bootstrap, configure):
    configure(**{"first_user_admin.enabled": False})

    assert bootstrap({}).status_code == 400
    response = bootstrap(username="!!")
    assert (response.status_code, response.json()) == (405, {"message": "this instance has disabled this endpoint"})


@pytest.mark.parametrize("there", [{}, {"bot": True}, {"is_active": False}])
def test_where_there_are_users_it_is_of_no_use(bootstrap, make_user, there):
    make_user("somebody", **there)

    response = bootstrap(username="!!")

    assert response.status_code == 400
    assert response.json() == {"message": "you can only use this when there are no users on the system"}
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ({"email": "nonsense"}, {"email": ["is invalid"]}),
        ({"email": ""}, {"email": ["can't be blank"]}),
        ({"email": None}, {"email": ["can't be blank"]}),
        ({"username": ""}, {"username": ["can't be blank"]}),
        ({"username": None}, {"username": ["can't be blank"]}),
        ({"username": "!!!"}, {"username": ["'!!!' cannot be transformed into a valid namespace name"]}),
        ({"username": "a:b"}, {"username": ["is invalid"]}),
        ({"username": "portus"}, {"username": ["This name belongs to Portus itself."]}),
        ({"username": "x" * 256}, {"username": ["is too long (maximum is 255 characters)"]}),
        ({"password": ""}, {"password": ["can't be blank"]}),
        ({"password": "short"}, {"password": ["is too short (minimum is 8 characters)"]}),
        ({"password": "x" * 129}, {"password": ["is too long (maximum is 128 characters)"]}),
        ({"password": 1234567}, {"password": ["is too short (minimum is 8 characters)"]}),
        (
            {"username": "", "email": "x", "password": "x"},
            {
                "username": ["can't be blank"],
                "email": ["is invalid"],
                "password": ["is too short (minimum is 8 characters)"],
            },
        ),
    ],
)
def test_what_an_account_may_not_be(bootstrap, user, message):
    response = bootstrap(**user)

    assert (response.status_code, response.json()) == (422, {"message": message})
    assert not User.objects.exists()


# What it makes


def test_it_makes_an_administrator_with_a_token(bootstrap):
    response = bootstrap(display_name="Ada L.")

    user, token = User.objects.get(), ApplicationToken.objects.get()
    assert response.status_code == 201
    body = response.json()
    assert body == {"id": token.pk, "application": "bootstrap", "plain_token": body["plain_token"]}
    assert (user.username, user.email, user.display_name) == ("ada", "ada@test.lan", "Ada L.")
    assert (user.admin, user.bot, user.is_active, token.user) == (True, False, True, user)
    assert authenticate_basic("ada", body["plain_token"])[0] is Outcome.OK
    assert authenticate_basic("ada", ADA["password"])[0] is Outcome.OK
    assert response["Content-Type"] == JSON
    assert response["Cache-Control"] == "no-store"


def test_it_makes_a_namespace_where_there_is_a_registry(bootstrap, registry):
    assert bootstrap().status_code == 201

    assert User.objects.get().personal_namespaces.get().name == "ada"


def test_what_else_is_sent_is_dropped(bootstrap):
    fields = {"bot": True, "admin": False, "is_active": False, "enabled": False, "id": 7, "unknown": {"a": [1]}}

    assert bootstrap({"user": {**ADA, **fields}, "more": 1}).status_code == 201

    user = User.objects.get()
    assert (user.admin, user.bot, user.is_active) == (True, False, True)


def test_it_is_for_once(bootstrap):
    assert [bootstrap().status_code, bootstrap(username="eve").status_code] == [201, 400]
    assert User.objects.get().username == "ada"


@pytest.mark.django_db(transaction=True)
def test_of_two_at_the_same_moment_one_succeeds(client, monkeypatch):
    monkeypatch.setattr(hashing, "room", Room(at_once=4, inside=4, patience_seconds=10))

    def post(number):
        user = {**ADA, "username": f"ada{number}", "email": f"{number}@test.lan"}
        options = {"content_type": JSON, "REMOTE_ADDR": f"192.0.2.{number}"}  # one client would have to queue
        return client.__class__().post(PATH, json.dumps({"user": user}), **options).status_code

    assert sorted(at_once([lambda number=number: post(number) for number in range(4)])) == [201, 400, 400, 400]


# How it may be sent


FORM = "user[username]=ada&user[email]=ada%40test.lan&user[password]=long+enough"
MULTIPART = "".join(
    f'--x\r\nContent-Disposition: form-data; name="user[{name}]"\r\n\r\n{value}\r\n' for name, value in ADA.items()
)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (json.dumps({"user": ADA}).encode(), "application/json; charset=utf-8"),
        (json.dumps({"user": ADA}).encode(), "APPLICATION/JSON"),
        (b"\xef\xbb\xbf" + json.dumps({"user": ADA}).encode(), "application/json"),
        (FORM.encode(), "application/x-www-form-urlencoded"),
        (FORM.replace("[", "%5B").replace("]", "%5D").encode(), "application/x-www-form-urlencoded; charset=UTF-8"),
        (f"{MULTIPART}--x--\r\n".encode(), "multipart/form-data; boundary=x"),
    ],
)
def test_it_may_be_json_or_a_form(bootstrap, content, content_type):
    assert bootstrap(content, content_type=content_type).status_code == 201
    assert User.objects.get().email == "ada@test.lan"


@pytest.mark.parametrize("content_type", [JSON, "", "text/plain"])
def test_it_may_stand_in_the_query(bootstrap, content_type):
    assert bootstrap(b"", path=f"{PATH}?{FORM}", content_type=content_type).status_code == 201


def test_the_body_wins_over_the_query(bootstrap):
    path = f"{PATH}?user[username]=eve&user[email]=e%40test.lan&user[password]=long+enough"

    assert bootstrap(path=path).status_code == 201
    assert User.objects.get().username == "ada"


@pytest.mark.parametrize("path", [f"{PATH}.json", f"{PATH}/", "/api//v1///users/bootstrap", f"{PATH}?format=json"])
def test_the_path_may_be_written_in_several_ways(bootstrap, path):
    assert bootstrap(path=path).status_code == 201


@pytest.mark.parametrize(
    ("username", "stored"), [(123456, "123456"), (True, "true"), (False, "false"), (1.5, "1.5"), (-1, "-1")]
)
def test_numbers_and_truth_values_are_text(bootstrap, username, stored):
    assert bootstrap(username=username).status_code == 201
    assert User.objects.get().username == stored


@pytest.mark.parametrize("display_name", ["", " ", None])
def test_a_blank_display_name_is_none(bootstrap, display_name):
    assert bootstrap(display_name=display_name).status_code == 201
    assert User.objects.get().display_name is None
