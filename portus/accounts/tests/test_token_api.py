"""Application tokens over the API: whose they are, refusals first."""

import pytest

from portus.accounts.backends import Outcome, authenticate_basic
from portus.accounts.models import ApplicationToken
from portus.accounts.operations import create_token
from portus.activities.models import Activity
from portus.activities.snapshot import Audience

pytestmark = pytest.mark.django_db

CI = {"application": "ci"}
REFUSED = (403, {"message": "Authorization fails"})
NOT_FOUND = (404, {"message": "Not found"})


@pytest.fixture
def robot(make_user):
    return make_user("robot", bot=True)


@pytest.fixture
def as_robot(client, robot, cast):
    token = create_token(robot, "builds", actor=cast.ada)[1]
    headers = {"Portus-Auth": f"robot:{token}"}
    return lambda method, path: getattr(client, method)(f"/api/v1{path}", headers=headers)


def told(response):
    return response.status_code, response.json()


# Whose they are


@pytest.mark.parametrize(("method", "data"), [("get", None), ("post", CI), ("post", {})])
def test_nobody_asks_without_a_name(client, cast, method, data):
    assert getattr(client, method)(f"/api/v1/users/{cast.alice.pk}/application_tokens", data).status_code == 401
    assert client.delete("/api/v1/users/application_tokens/1").status_code == 401


# Who asks, for whom, and whether she may.
RIGHTS = [
    ("alice", "alice", True),
    ("dave", "dave", True),
    ("ada", "ada", True),
    ("ada", "alice", True),
    ("ada", "robot", True),
    ("alice", "bob", False),
    ("bob", "alice", False),
    ("dave", "alice", False),
    ("alice", "ada", False),
    ("alice", "robot", False),
]


@pytest.mark.parametrize(("who", "whose", "allowed"), RIGHTS)
def test_tokens_are_their_owners_and_the_administrators(as_user, cast, robot, who, whose, allowed):
    owner = {**vars(cast), "robot": robot}[whose]
    asker = as_user(who)
    token, _ = create_token(owner, "there", actor=owner)
    path = f"/users/{owner.pk}/application_tokens"
    before = owner.application_tokens.count()

    assert asker.get(path).status_code == (200 if allowed else 403)
    assert asker.post(path, CI).status_code == (201 if allowed else 403)
    assert owner.application_tokens.count() == before + allowed
    assert asker.delete(f"/users/application_tokens/{token.pk}").status_code == (204 if allowed else 403)
    assert ApplicationToken.objects.filter(pk=token.pk).exists() is not allowed


def test_a_bot_has_no_say_in_its_tokens(as_robot, robot):
    path = f"/users/{robot.pk}/application_tokens"

    assert told(as_robot("get", path)) == told(as_robot("post", f"{path}?application=more")) == REFUSED
    assert told(as_robot("delete", f"/users/application_tokens/{robot.application_tokens.get().pk}")) == REFUSED
    assert told(as_robot("get", "/profile/application_tokens")) == REFUSED


def test_strangers_learn_nothing_about_who_and_what_is_there(as_user, cast):
    token, _ = create_token(cast.bob, "there", actor=cast.bob)
    dave = as_user("dave")

    for pk in (cast.bob.pk, 999999):
        assert told(dave.get(f"/users/{pk}/application_tokens")) == REFUSED
        assert told(dave.post(f"/users/{pk}/application_tokens", CI)) == REFUSED
    for pk in (token.pk, 999999):
        assert told(dave.delete(f"/users/application_tokens/{pk}")) == REFUSED


def test_administrators_are_told_what_is_not_there(as_user, cast):
    ada = as_user("ada")

    for pk in ("0", "999999", "9" * 30):
        assert told(ada.get(f"/users/{pk}/application_tokens")) == NOT_FOUND
        assert told(ada.post(f"/users/{pk}/application_tokens", CI)) == NOT_FOUND
        assert told(ada.delete(f"/users/application_tokens/{pk}")) == NOT_FOUND


def test_a_token_is_not_found_below_its_user(as_user, cast):
    token, _ = create_token(cast.ada, "there", actor=cast.ada)

    path = f"/users/{cast.ada.pk}/application_tokens/{token.pk}"

    assert told(as_user("ada").delete(path)) == NOT_FOUND
    assert told(as_user("ada").delete("/users/application_tokens/there")) == NOT_FOUND
    assert cast.ada.application_tokens.filter(application="there").exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_user_in_the_path_is_a_number(as_user, method):
    response = getattr(as_user("ada"), method)("/users/alice/application_tokens", CI)

    assert (response.status_code, response.json()["errors"]) == (400, {"id": ["is invalid"]})


# Lists


def test_all_five_are_listed_without_their_values(as_user, cast):
    ada = as_user("ada")
    for number in range(5):
        create_token(cast.alice, f"app {number}", actor=cast.alice)

    tokens = ada.get(f"/users/{cast.alice.pk}/application_tokens").json()

    assert [token["application"] for token in tokens] == [f"app {number}" for number in range(5)]
    assert [set(token) for token in tokens] == [
        {"id", "application", "created_at", "last_used_at", "expires_at"}
    ] * 5  # fmt: skip


def test_the_list_tells_when_a_token_was_used(as_user, cast):
    bob = as_user("bob")

    (token,) = bob.get("/profile/application_tokens").json()

    assert token["application"] == "tests 0"
    assert token["created_at"] <= token["last_used_at"]
    assert token["expires_at"] is None
    assert bob.get(f"/users/{cast.bob.pk}/application_tokens").json()[0]["id"] == token["id"]


@pytest.mark.parametrize("count", [1, 5])
def test_the_list_costs_the_same_however_long(as_user, cast, django_assert_num_queries, count):
    ada = as_user("ada")
    for number in range(count):
        create_token(cast.alice, f"app {number}", actor=cast.alice)

    with django_assert_num_queries(5):  # the token that asks, its "last used", the owner, the list, and its end
        assert len(ada.get(f"/users/{cast.alice.pk}/application_tokens").json()) == count


# Making


def test_the_value_is_in_the_answer_and_opens_everything_of_hers(as_user, cast, client):
    response = as_user("dave").post(f"/users/{cast.dave.pk}/application_tokens", CI)

    token = cast.dave.application_tokens.get(application="ci")
    value = response.json()["plain_token"]
    assert told(response) == (201, {"id": token.pk, "application": "ci", "plain_token": value})
    assert response["Cache-Control"] == "no-store"
    assert authenticate_basic("dave", value)[0] is Outcome.OK
    assert client.get("/api/v1/profile", headers={"Portus-Auth": f"dave:{value}"}).json()["username"] == "dave"


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        ({}, 400, {'["application"]': ["is missing"]}),
        ({"application": {}}, 400, {'["application"]': ["is invalid"]}),
        ({"application": []}, 400, {'["application"]': ["is invalid"]}),
        ({"application": ""}, 422, {"application": ["can't be blank"]}),
        ({"application": None}, 422, {"application": ["can't be blank"]}),
        ({"application": "  "}, 422, {"application": ["can't be blank"]}),
        ({"application": "there"}, 422, {"application": ["has already been taken"]}),
        ({"application": "x" * 256}, 422, {"application": ["is too long (maximum is 255 characters)"]}),
        ({"application": "a\nb"}, 422, {"application": ["is invalid"]}),
    ],
)
def test_names_that_will_not_do(as_user, cast, data, status, message):
    create_token(cast.dave, "there", actor=cast.dave)

    response = as_user("dave").post(f"/users/{cast.dave.pk}/application_tokens", data)

    assert (response.status_code, response.json()["message"]) == (status, message)


def test_json_that_is_none_is_400(as_user, cast, client):
    headers = as_user("dave").headers
    path = f"/api/v1/users/{cast.dave.pk}/application_tokens"

    response = client.post(path, "{", content_type="application/json", headers=headers)

    assert response.status_code == 400
    assert response.json()["message"].startswith("There was a problem in the JSON you submitted")


def test_five_are_enough(as_user, cast):
    dave = as_user("dave")
    path = f"/users/{cast.dave.pk}/application_tokens"
    for number in range(4):
        assert dave.post(path, {"application": f"app {number}"}).status_code == 201

    message = {"base": ["Users cannot have more than 5 application tokens"]}
    assert told(dave.post(path, CI)) == (422, {"message": message})


# What is told of it


def test_what_an_administrator_does_is_told_to_the_owner(as_user, cast):
    ada = as_user("ada")
    pk = ada.post(f"/users/{cast.alice.pk}/application_tokens", CI).json()["id"]
    ada.delete(f"/users/application_tokens/{pk}")

    lines = Activity.objects.filter(subject_kind="application_token", audience_user_id=cast.alice.pk).order_by("pk")
    assert [(line.key, line.actor, line.recipient_name, line.subject_name) for line in lines] == [
        ("application_token.create", cast.ada, "alice", "ci"),
        ("application_token.destroy", cast.ada, "alice", "ci"),
    ]
    assert {line.audience for line in lines} == {Audience.ACTOR}


def test_a_revoked_token_opens_nothing(as_user, cast):
    token, value = create_token(cast.dave, "ci", actor=cast.dave)

    response = as_user("dave").delete(f"/users/application_tokens/{token.pk}")

    assert (response.status_code, response.content) == (204, b"")
    assert authenticate_basic("dave", value)[0] is Outcome.WRONG
