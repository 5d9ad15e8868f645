"""Users over the API: refusals first, then what Portus 2.4's clients expect, then what only its pages could do."""

import json

import pytest
from django.test import Client

from portus.accounts.backends import Outcome, authenticate_basic
from portus.accounts.models import User
from portus.accounts.operations import create_token
from portus.activities.models import Activity
from portus.teams.models import Membership, Namespace, Role, Team, Visibility

pytestmark = pytest.mark.django_db

ZOE = {"username": "zoe", "email": "zoe@test.lan", "password": "long enough"}
TAKEN = ["has already been taken"]
BLANK = ["can't be blank"]


@pytest.fixture
def ada(as_user):
    return as_user("ada")


@pytest.fixture
def robot(make_user):
    return make_user("robot", bot=True)


def as_bot(bot, actor):
    """Ask as a bot, which has a token from an administrator."""
    token = create_token(bot, "tests", actor=actor)[1]

    def ask(method, path, data=None):
        headers = {"Portus-Auth": f"{bot.username}:{token}"}
        return Client().generic(
            method, f"/api/v1{path}", json.dumps(data), content_type="application/json", headers=headers
        )

    return ask


# Who may

# A call, and the status for anonymous, alice, and ada.
CALLS = [
    ("get", "/users", None, 200),
    ("post", "/users", {"user": ZOE}, 201),
    ("post", "/users", {}, 400),
    ("get", "/users/{dave}", None, 200),
    ("get", "/users/dave@test.lan", None, 200),
    ("get", "/users/999999", None, 404),
    ("get", "/users/nobody@test.lan", None, 404),
    ("put", "/users/{dave}", {"user": {"username": "david"}}, 200),
    ("put", "/users/{dave}", {}, 400),
    ("put", "/users/999999", {"user": {}}, 404),
    ("delete", "/users/{dave}", None, 204),
    ("delete", "/users/999999", None, 404),
    ("put", "/users/{dave}/enable", None, 200),
    ("put", "/users/999999/enable", None, 404),
    ("put", "/users/{dave}/disable", None, 200),
    ("put", "/users/999999/disable", None, 404),
    ("put", "/users/{dave}/promote", None, 200),
    ("put", "/users/999999/promote", None, 404),
    ("put", "/users/{dave}/demote", None, 200),
    ("put", "/users/999999/demote", None, 404),
]


@pytest.mark.parametrize(("method", "path", "data", "status"), CALLS)
def test_users_are_the_administrators_business(client, as_user, cast, method, path, data, status):
    path = path.format(dave=cast.dave.pk)
    before = list(User.objects.values())

    assert getattr(client, method)(f"/api/v1{path}").status_code == 401
    for name in ("alice", "bob", "carol"):
        response = getattr(as_user(name), method)(path, data)
        assert (response.status_code, response.json()) == (403, {"message": "Authorization fails"})
    assert list(User.objects.values()) == before
    assert getattr(as_user("ada"), method)(path, data).status_code == status


@pytest.mark.parametrize("verb", ["promote", "demote"])
def test_nobody_changes_her_own_flag(ada, cast, make_user, verb):
    make_user("eva", admin=True)

    assert ada.put(f"/users/{cast.ada.pk}/{verb}").status_code == 403
    assert User.objects.get(pk=cast.ada.pk).admin


def test_nobody_deletes_herself(ada, cast, make_user):
    make_user("eva", admin=True)

    assert ada.delete(f"/users/{cast.ada.pk}").status_code == 403
    assert User.objects.filter(pk=cast.ada.pk).exists()


def test_people_may_disable_themselves(as_user, cast):
    dave = as_user("dave")

    response = dave.put(f"/users/{cast.dave.pk}/disable")

    assert (response.status_code, response.json()["enabled"]) == (200, False)
    assert dave.get("/profile").status_code == 401


def test_a_bot_may_not_disable_itself(cast, robot):
    assert as_bot(robot, cast.ada)("PUT", f"/users/{robot.pk}/disable").status_code == 403


# Lists and single users


def test_all_users_are_listed(ada, cast, robot, make_user):
    make_user("gone", is_active=False)

    names = [user["username"] for user in ada.get("/users").json()]

    assert names == ["ada", "alice", "bob", "carol", "dave", "robot", "gone"]


def test_the_list_may_be_ordered_and_paged(ada, cast):
    response = ada.get("/users?sort_attr=username&sort_order=desc&page=1&per_page=2")

    assert [user["username"] for user in response.json()] == ["dave", "carol"]
    assert response["X-Total"] == "5"


@pytest.mark.parametrize("more", [0, 30])
def test_the_list_costs_the_same_however_long(ada, cast, make_user, django_assert_num_queries, more):
    for number in range(more):
        make_user(f"user{number}")
    ada.get("/users")  # the token's "last used" is written once a minute

    with django_assert_num_queries(4):  # the token, its "last used", the users, and that there are no more
        assert len(ada.get("/users").json()) == 5 + more


def test_what_a_user_looks_like(ada, cast, registry):
    alice = User.objects.get(pk=cast.alice.pk)

    body = ada.get(f"/users/{alice.pk}").json()

    assert list(body) == [
        "id", "username", "email", "current_sign_in_at", "last_sign_in_at", "created_at", "updated_at", "admin",
        "enabled", "locked_at", "namespace_id", "display_name", "bot",
    ]  # fmt: skip
    assert (body["id"], body["username"], body["email"]) == (alice.pk, "alice", "alice@test.lan")
    assert (body["admin"], body["enabled"], body["bot"]) == (False, True, False)
    assert body["namespace_id"] == alice.personal_namespaces.get().pk
    assert body["created_at"].endswith("Z")


@pytest.mark.parametrize(
    "path", ["alice@test.lan", "ALICE@Test.LAN", "alice%40test.lan", "{alice}", "{alice}.json", "{alice}/"]
)
def test_a_user_is_found_by_number_or_address(ada, cast, path):
    response = ada.get(f"/users/{path}".format(alice=cast.alice.pk))

    assert (response.status_code, response.json()["username"]) == (200, "alice")


def test_an_address_that_begins_with_digits_is_an_address(ada, cast, make_user):
    make_user("joe", email=f"{cast.alice.pk}joe@test.lan")

    assert ada.get(f"/users/{cast.alice.pk}joe@test.lan").json()["username"] == "joe"


def test_an_address_with_a_slash_is_found(ada, make_user):
    make_user("joe", email="a/b@test.lan")

    assert ada.get("/users/a/b@test.lan").json()["username"] == "joe"


@pytest.mark.parametrize(
    "path",
    ["0", "{alice}abc", "{alice}/anything", "{alice}x@y", "abc", "alice", "9" * 30, "9" * 18, "-1", "@",
     "alice@test.lan.json", "%FF@test.lan", "٣"],
)  # fmt: skip
def test_whoever_is_not_there_is_404(ada, cast, path):
    response = ada.get(f"/users/{path}".format(alice=cast.alice.pk))

    assert (response.status_code, response.json()) == (404, {"message": "Not found"})


@pytest.mark.parametrize("method", ["put", "delete"])
def test_by_address_nobody_is_changed(ada, cast, method):
    assert getattr(ada, method)("/users/alice@test.lan", {"user": {"username": "x"}}).status_code == 404
    assert User.objects.filter(username="alice").exists()


# Creating


@pytest.mark.parametrize(
    ("content", "reasons"),
    [
        ({}, {"user": ["is missing"], "username": ["is missing"], "email": ["is missing"], "password": ["is missing"]}),
        ({"user": {"username": "zoe", "email": "z@z"}}, {"password": ["is missing"]}),
        ({"user": {**ZOE, "bot": "perhaps"}}, {"bot": ["is invalid"]}),
        ({"user": {**ZOE, "bot": []}}, {"bot": ["is invalid"]}),
        ({"user": {**ZOE, "bot": {}}}, {"bot": ["is invalid"]}),
        ({"user": {**ZOE, "username": []}}, {"username": ["is invalid"]}),
    ],
)
def test_parameters_that_are_missing_or_none(ada, content, reasons):
    response = ada.post("/users", content)

    assert (response.status_code, response.json()["errors"]) == (400, reasons)
    assert not User.objects.filter(username="zoe").exists()


def test_json_that_is_none_is_400(ada, client):
    response = client.post("/api/v1/users", "{", content_type="application/json", headers=ada.headers)

    assert response.status_code == 400
    assert response.json()["message"].startswith("There was a problem in the JSON you submitted")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"username": "", "email": ""}, {"username": BLANK, "email": BLANK}),
        ({"username": None, "email": None, "password": None}, {"username": BLANK, "email": BLANK, "password": BLANK}),
        ({"username": "alice"}, {"username": TAKEN}),
        ({"email": "ALICE@test.lan"}, {"email": TAKEN}),
        ({"display_name": "Bob B."}, {"display_name": TAKEN}),
        ({"username": "!!!"}, {"username": ["'!!!' cannot be transformed into a valid namespace name"]}),
        ({"username": "portus"}, {"username": ["This name belongs to Portus itself."]}),
        ({"email": "nonsense"}, {"email": ["is invalid"]}),
        ({"password": "short"}, {"password": ["is too short (minimum is 8 characters)"]}),
    ],
)
def test_what_a_new_user_may_not_be(ada, cast, fields, message):
    User.objects.filter(pk=cast.bob.pk).update(display_name="Bob B.")

    response = ada.post("/users", {"user": {**ZOE, **fields}})

    assert (response.status_code, response.json()) == (422, {"message": message})
    assert User.objects.count() == 5


def test_a_person_is_created_with_a_namespace(ada, cast):
    response = ada.post("/users", {"user": {**ZOE, "display_name": "Zoe Z.", "admin": True, "enabled": False}})

    zoe = User.objects.get(username="zoe")
    assert response.status_code == 201
    assert response.json()["namespace_id"] == zoe.personal_namespaces.get().pk
    assert (response.json()["id"], response.json()["display_name"]) == (zoe.pk, "Zoe Z.")
    assert (zoe.admin, zoe.is_active, zoe.bot) == (False, True, False)
    assert authenticate_basic("zoe", ZOE["password"])[0] is Outcome.OK
    assert Activity.objects.get(key="user.create").actor == cast.ada


@pytest.mark.parametrize(
    ("sent", "bot"), [(True, True), ("yes", True), ("1", True), ("F", False), ("", False), (None, False)]
)
def test_a_bot_has_neither_namespace_nor_password_nor_token(ada, sent, bot):
    response = ada.post("/users", {"user": {**ZOE, "bot": sent}})

    zoe = User.objects.get(username="zoe")
    assert (response.status_code, response.json()["bot"], zoe.bot) == (201, bot, bot)
    assert "plain_token" not in response.json()
    assert not zoe.application_tokens.exists()
    assert zoe.personal_namespaces.exists() is not bot
    assert authenticate_basic("zoe", ZOE["password"])[0] is (Outcome.WRONG if bot else Outcome.OK)


# Changing


def test_what_is_given_is_changed_and_nothing_else(ada, cast):
    User.objects.filter(pk=cast.dave.pk).update(display_name="Dave D.")

    response = ada.put(f"/users/{cast.dave.pk}", {"user": {"username": "david", "admin": True, "bot": True}})

    dave = User.objects.get(pk=cast.dave.pk)
    assert (response.status_code, response.json()["username"]) == (200, "david")
    assert (dave.username, dave.username_key, dave.display_name) == ("david", "david", "Dave D.")
    assert (dave.email, dave.admin, dave.bot) == ("dave@test.lan", False, False)
    assert dave.personal_namespaces.get().name == "dave"


@pytest.mark.parametrize("blank", ["", None, " "])
def test_a_display_name_may_be_taken_away(ada, cast, blank):
    User.objects.filter(pk=cast.dave.pk).update(display_name="Dave D.")

    assert ada.put(f"/users/{cast.dave.pk}", {"user": {"display_name": blank}}).json()["display_name"] is None


def test_without_changes_nothing_happens(ada, cast):
    before = User.objects.filter(pk=cast.dave.pk).values().get()

    for changes in ({}, {"username": "dave", "email": "DAVE@test.lan", "display_name": ""}):
        assert ada.put(f"/users/{cast.dave.pk}", {"user": changes}).status_code == 200

    assert User.objects.filter(pk=cast.dave.pk).values().get() == before
    assert not Activity.objects.filter(key="user.update").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"username": "ALICE"}, {"username": TAKEN}),
        ({"username": ""}, {"username": BLANK}),
        ({"username": None}, {"username": BLANK}),
        ({"username": "Portus"}, {"username": ["This name belongs to Portus itself."]}),
        ({"username": "a:b"}, {"username": ["is invalid"]}),
        ({"email": "alice@test.lan"}, {"email": TAKEN}),
        ({"email": ""}, {"email": BLANK}),
        ({"email": "x"}, {"email": ["is invalid"]}),
        ({"password": ""}, {"password": BLANK}),
        ({"password": None}, {"password": BLANK}),
        ({"password": "short"}, {"password": ["is too short (minimum is 8 characters)"]}),
        (
            {"username": "new", "email": "x", "password": "x"},
            {"email": ["is invalid"], "password": ["is too short (minimum is 8 characters)"]},
        ),
    ],
)
def test_changes_that_are_refused_change_nothing(ada, cast, changes, message):
    before = User.objects.filter(pk=cast.dave.pk).values().get()

    response = ada.put(f"/users/{cast.dave.pk}", {"user": changes})

    assert (response.status_code, response.json()) == (422, {"message": message})
    assert User.objects.filter(pk=cast.dave.pk).values().get() == before


def test_a_bot_gets_no_password(ada, robot):
    response = ada.put(f"/users/{robot.pk}", {"user": {"password": "long enough"}})

    assert (response.status_code, response.json()) == (422, {"message": {"password": ["A bot has no password."]}})


def test_an_administrator_may_set_a_password_which_ends_the_sessions(ada, cast, client):
    client.force_login(cast.dave)

    assert ada.put(f"/users/{cast.dave.pk}", {"user": {"password": "another one"}}).status_code == 200

    assert authenticate_basic("dave", "another one")[0] is Outcome.OK
    assert client.get("/api/v1/profile").status_code == 401
    assert Activity.objects.get(key="user.change_password").actor == cast.ada


def test_who_came_without_an_address_needs_none_for_another_change(ada, make_user):
    user = make_user("imported", email=None)

    assert ada.put(f"/users/{user.pk}", {"user": {"display_name": "Ida"}}).json()["display_name"] == "Ida"


def test_a_new_name_leaves_what_was_said_of_the_past(ada, cast, as_user, make_namespace, make_repository, make_tag):
    tag = make_tag(make_repository(namespace=make_namespace(team=cast.team)), "1", author=cast.dave)

    ada.put(f"/users/{cast.dave.pk}", {"user": {"username": "david"}})

    tag.refresh_from_db()
    assert (tag.author, tag.author_name) == (cast.dave, "dave")
    activity = Activity.objects.get(key="user.update")
    assert (activity.subject_name, activity.parameters) == ("david", {"fields": "username", "old": "dave"})


# Letting in and keeping out


def test_whoever_is_disabled_is_out_everywhere_and_comes_back_with_everything(ada, as_user, cast, client, password):
    bob = as_user("bob")
    client.force_login(cast.bob)

    assert ada.put(f"/users/{cast.bob.pk}/disable").json()["enabled"] is False

    assert bob.get("/profile").status_code == 401
    assert client.get("/api/v1/profile").status_code == 401
    assert authenticate_basic("bob", password)[0] is Outcome.DISABLED

    assert ada.put(f"/users/{cast.bob.pk}/enable").json()["enabled"] is True

    assert bob.get("/profile").status_code == 200
    assert authenticate_basic("bob", password)[0] is Outcome.OK
    assert Membership.objects.get(team=cast.team, user=cast.bob).role == Role.CONTRIBUTOR


def test_the_last_administrator_stays(ada, cast, make_user):
    make_user("former", admin=True, is_active=False)
    make_user("robot-admin", admin=True, bot=True)
    message = "ada is the last administrator: make somebody else one first."

    response = ada.put(f"/users/{cast.ada.pk}/disable")

    assert (response.status_code, response.json()) == (422, {"message": {"base": [message]}})
    assert User.objects.get(pk=cast.ada.pk).is_active


def test_one_of_two_administrators_may_go(ada, cast, make_user):
    make_user("eva", admin=True)

    assert ada.put(f"/users/{cast.ada.pk}/disable").status_code == 200
    assert ada.get("/profile").status_code == 401


def test_administrators_own_the_global_namespaces_as_long_as_they_are(ada, cast):
    team = Team.objects.get(namespaces__global_marker=True)

    assert ada.put(f"/users/{cast.bob.pk}/promote").json()["admin"] is True
    assert team.memberships.get(user=cast.bob).role == Role.OWNER

    assert ada.put(f"/users/{cast.bob.pk}/demote").json()["admin"] is False
    assert not team.memberships.filter(user=cast.bob).exists()
    assert Membership.objects.get(team=cast.team, user=cast.bob).role == Role.CONTRIBUTOR


@pytest.mark.parametrize(
    ("verb", "there"), [("enable", {}), ("disable", {"is_active": False}), ("promote", {"admin": True}), ("demote", {})]
)
def test_what_is_so_already_leaves_no_trace(ada, make_user, verb, there):
    user = make_user("zoe", **there)

    assert ada.put(f"/users/{user.pk}/{verb}").status_code == 200
    assert not Activity.objects.filter(key=f"user.{verb}").exists()


# Deleting


def test_a_user_is_deleted_with_what_was_hers_alone(ada, as_user, cast, make_namespace, make_repository, make_tag):
    tag = make_tag(make_repository(namespace=make_namespace(team=cast.team)), "1", author=cast.bob)
    bob = as_user("bob")

    response = ada.delete(f"/users/{cast.bob.pk}")

    assert (response.status_code, response.content) == (204, b"")
    assert not User.objects.filter(username="bob").exists()
    assert not Team.objects.filter(name="bob").exists()
    assert not Namespace.objects.filter(name="bob").exists()
    assert bob.get("/profile").status_code == 401
    tag.refresh_from_db()
    assert (tag.author, tag.author_name) == (None, "bob")
    activity = Activity.objects.get(key="user.delete")
    assert (activity.actor, activity.subject_name, activity.parameters) == (cast.ada, "bob", {"username": "bob"})
    assert Activity.objects.filter(key="application_token.create", actor=None, actor_name="bob").exists()


def test_name_and_address_are_free_again(ada, cast):
    ada.delete(f"/users/{cast.dave.pk}")

    response = ada.post("/users", {"user": {**ZOE, "username": "dave", "email": "dave@test.lan"}})

    assert response.status_code == 201
    assert Namespace.objects.get(pk=response.json()["namespace_id"]).name == "dave"


def test_whoever_has_repositories_of_her_own_stays(ada, cast, make_repository):
    make_repository("busybox", namespace=cast.dave.personal_namespaces.get())

    response = ada.delete(f"/users/{cast.dave.pk}")

    message = "There are repositories in dave: delete them, or move the namespace to another team first."
    assert (response.status_code, response.json()) == (422, {"message": {"base": [message]}})
    assert User.objects.filter(pk=cast.dave.pk, personal_namespaces__name="dave").exists()


def test_a_namespace_that_was_handed_over_stays_where_it_is(ada, cast, make_repository):
    namespace = cast.dave.personal_namespaces.get()
    make_repository("busybox", namespace=namespace)
    Namespace.objects.filter(pk=namespace.pk).update(team=cast.team)

    assert ada.delete(f"/users/{cast.dave.pk}").status_code == 204

    namespace.refresh_from_db()
    assert (namespace.team, namespace.personal_owner, namespace.repositories.count()) == (cast.team, None, 1)
    assert not Team.objects.filter(name="dave").exists()


@pytest.mark.parametrize(("other", "status"), [({}, 204), ({"is_active": False}, 422), (None, 422)])
def test_the_only_owner_of_a_team_stays(ada, cast, make_user, other, status):
    if other is not None:
        Membership.objects.create(team=cast.team, user=make_user("other", **other), role=Role.OWNER)

    response = ada.delete(f"/users/{cast.alice.pk}")

    assert response.status_code == status
    assert User.objects.filter(pk=cast.alice.pk).exists() is (status == 422)
    if status == 422:
        message = "alice is the only owner of team-of-tests: make somebody else an owner first."
        assert response.json() == {"message": {"base": [message]}}


def test_an_administrator_is_deleted_without_the_global_namespace(ada, cast, make_user):
    eva = make_user("eva", admin=True)
    ada.put(f"/users/{eva.pk}/enable")
    Membership.objects.create(team=Team.objects.get(namespaces__global_marker=True), user=eva, role=Role.OWNER)

    assert ada.delete(f"/users/{eva.pk}").status_code == 204
    assert Namespace.objects.global_ones().get().visibility == Visibility.PUBLIC


def test_a_bot_is_deleted_with_its_tokens(ada, cast, robot):
    ask = as_bot(robot, cast.ada)

    assert ada.delete(f"/users/{robot.pk}").status_code == 204
    assert ask("GET", "/profile").status_code == 401
