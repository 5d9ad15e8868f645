"""Teams and members over the API: refusals first, then each role, then what Portus 2.4's clients expect."""

import pytest
from django.test import Client

from portus.activities.models import Activity
from portus.teams.models import Membership, Role, Team, Visibility

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Portus-Auth": ""},
        {"Portus-Auth": "alice"},
        {"Portus-Auth": "alice:"},
        {"Portus-Auth": "alice:wrong"},
        {"Portus-Auth": "nobody:x"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
    ],
)
def test_without_a_credential_that_counts_it_is_401(client, cast, headers):
    response = client.get("/api/v1/teams", headers=headers)

    assert response.status_code == 401
    assert response.json() == {"message": "Authentication fails"}


def test_a_wrong_credential_never_falls_back_to_the_session(client, cast):
    client.force_login(cast.alice)

    assert client.get("/api/v1/teams").status_code == 200
    assert client.get("/api/v1/teams", headers={"Portus-Auth": "alice:wrong"}).status_code == 401
    assert client.get("/api/v1/teams", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_disabled_user_is_refused_whatever_her_token(as_user, cast):
    alice = as_user("alice")
    cast.alice.is_active = False
    cast.alice.save()

    assert alice.get("/teams").status_code == 401


def test_a_write_by_session_wants_the_csrf_token(cast, settings):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(cast.alice)

    response = browser.post("/api/v1/teams", {"name": "crew"}, content_type="application/json")

    assert response.status_code == 403
    assert not Team.objects.filter(name="crew").exists()


# Teams

# Who may: look into the team, change it, manage its members.
TEAM_RIGHTS = [
    ("alice", True, True),
    ("bob", True, False),
    ("carol", True, False),
    ("dave", False, False),
    ("ada", True, True),
]


@pytest.mark.parametrize(("who", "look", "manage"), TEAM_RIGHTS)
def test_a_team_by_role(as_user, cast, who, look, manage):
    asker = as_user(who)
    team, member = f"/teams/{cast.team.pk}", cast.team.memberships.get(user=cast.carol)

    for path in (team, f"{team}/namespaces", f"{team}/members", f"{team}/memberships"):
        assert asker.get(path).status_code == (200 if look else 403)
    assert asker.put(team, {"team": {"description": "x"}}).status_code == (200 if manage else 403)
    assert asker.post(f"{team}/members", {"user": "dave", "role": "viewer"}).status_code == (201 if manage else 403)
    changed = asker.put(f"{team}/members/{member.pk}", {"role": "contributor"})
    assert changed.status_code == (200 if manage else 403)


@pytest.mark.parametrize(("who", "listed"), [("alice", 1), ("dave", 0), ("ada", 2)])
def test_teams_are_listed_for_those_who_may_look_into_them(as_user, cast, who, listed):
    assert len(as_user(who).get("/teams").json()) == listed


def test_what_a_team_looks_like(as_user, cast):
    body = as_user("alice").get(f"/teams/{cast.team.pk}").json()

    assert list(body) == ["id", "name", "created_at", "updated_at", "description", "hidden"]
    assert (body["id"], body["name"], body["description"], body["hidden"]) == (
        cast.team.pk, "team-of-tests", None, False,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/teams/999999", "/teams/x", "/teams/1abc", f"/teams/{2**70}", "/teams/1/members/1"])
def test_what_is_not_there_is_404(as_user, path):
    response = as_user("ada").get(path)

    assert (response.status_code, response.json()) == (404, {"message": "Not found"})


def test_who_creates_a_team_owns_it(as_user, cast):
    response = as_user("dave").post("/teams", {"name": "crew", "description": "us"})

    assert response.status_code == 201
    team = Team.objects.get(name="crew")
    assert team.memberships.get().user == cast.dave
    assert Activity.objects.get(key="team.create").actor == cast.dave


@pytest.mark.parametrize(("who", "status", "owner"), [("dave", 403, None), ("ada", 201, "bob")])
def test_only_administrators_name_another_owner(as_user, cast, who, status, owner):
    response = as_user(who).post("/teams", {"name": "crew", "owner_id": cast.bob.pk})

    assert response.status_code == status
    assert [member.user.username for member in Membership.objects.filter(team__name="crew")] == (
        [owner] if owner else []
    )


@pytest.mark.parametrize(("who", "status"), [("dave", 403), ("ada", 201)])
def test_creating_teams_can_be_left_to_administrators(as_user, configure, who, status):
    configure(**{"user_permission.create_team.enabled": False})

    assert as_user(who).post("/teams", {"name": "crew"}).status_code == status


REFUSED_TEAMS = [
    ({}, 400, {'["name"]': ["is missing"]}),
    ({"name": ""}, 422, {"name": ["can't be blank"]}),
    ({"name": None}, 422, {"name": ["can't be blank"]}),
    ({"name": "team-of-tests"}, 422, {"name": ["has already been taken"]}),
    ({"name": {"a": 1}}, 400, {'["name"]': ["is invalid"]}),
    ({"name": "crew", "owner_id": "x"}, 400, {'["owner_id"]': ["is invalid"]}),
]


@pytest.mark.parametrize(("sent", "status", "message"), REFUSED_TEAMS)
def test_a_team_that_cannot_be_created(as_user, sent, status, message):
    response = as_user("ada").post("/teams", sent)

    assert (response.status_code, response.json()["message"]) == (status, message)


def test_renaming_and_describing_are_two_activities(as_user, cast):
    response = as_user("alice").put(f"/teams/{cast.team.pk}", {"team": {"name": "crew", "description": "new"}})

    assert (response.json()["name"], response.json()["description"]) == ("crew", "new")
    found = {row.key: row.parameters for row in Activity.objects.filter(key__startswith="team.change")}
    assert found["team.change_team_name"]["old"] == "team-of-tests"
    assert found["team.change_team_description"]["new"] == "new"


def test_a_taken_name_changes_nothing_at_all(as_user, cast):
    sent = {"team": {"name": "nobodys-team", "description": "new"}}

    assert as_user("alice").put(f"/teams/{cast.team.pk}", sent).status_code == 422
    assert Team.objects.get(pk=cast.team.pk).description == ""


def test_an_unchanged_team_is_no_failure(as_user, cast):
    # 2.4 answered 422 with an empty object.
    assert as_user("alice").put(f"/teams/{cast.team.pk}", {"team": {"name": "team-of-tests"}}).status_code == 200
    assert as_user("alice").put(f"/teams/{cast.team.pk}", {"team": {}}).status_code == 200


def test_hidden_teams_are_changed_by_nobody(as_user, cast):
    hidden = cast.alice.personal_namespaces.get().team

    for who in ("alice", "ada"):
        assert as_user(who).put(f"/teams/{hidden.pk}", {"team": {"name": "x"}}).status_code == 403
        added = as_user(who).post(f"/teams/{hidden.pk}/members", {"user": "bob", "role": "viewer"})
        assert added.status_code == 404


# Members

REFUSED_MEMBERS = [
    ({}, 400),
    ({"user": "dave"}, 400),
    ({"user": "nobody", "role": "viewer"}, 404),
    ({"user": "dave", "role": "Owner"}, 422),
    ({"user": "dave", "role": "1"}, 422),
    ({"user": "dave", "role": ""}, 422),
    ({"user": "bob", "role": "viewer"}, 422),
]


@pytest.mark.parametrize(("sent", "status"), REFUSED_MEMBERS)
def test_a_member_who_cannot_be_added(as_user, cast, sent, status):
    assert as_user("alice").post(f"/teams/{cast.team.pk}/members", sent).status_code == status
    assert cast.team.memberships.count() == 3


def test_an_administrator_is_always_an_owner(as_user, cast):
    response = as_user("alice").post(f"/teams/{cast.team.pk}/members", {"user": "ada", "role": "viewer"})

    assert (response.status_code, response.json()["role"]) == (201, "owner")
    member = f"/teams/{cast.team.pk}/members/{response.json()['id']}"
    demoted = as_user("alice").put(member, {"role": "viewer"})
    assert (demoted.status_code, demoted.json()["message"]) == (
        422, "User cannot be demoted because it's a Portus admin",
    )  # fmt: skip


@pytest.mark.parametrize("with_disabled_owner", [False, True])
def test_the_only_owner_who_can_act_stays(as_user, cast, with_disabled_owner):
    if with_disabled_owner:
        Membership.objects.create(team=cast.team, user=cast.dave, role=Role.OWNER)
        cast.dave.is_active = False
        cast.dave.save()
    member = f"/teams/{cast.team.pk}/members/{cast.team.memberships.get(user=cast.alice).pk}"
    asker = as_user("alice")

    for response in (asker.delete(member), asker.put(member, {"role": "viewer"})):
        assert (response.status_code, response.json()["message"]) == (422, "Cannot remove the only owner of the team")
    assert asker.put(member, {"role": "owner"}).status_code == 200


def test_everybody_may_leave_and_only_owners_remove_others(as_user, cast):
    of = {name: cast.team.memberships.get(user=getattr(cast, name)).pk for name in ("bob", "carol")}

    assert as_user("bob").delete(f"/teams/{cast.team.pk}/members/{of['carol']}").status_code == 403
    assert as_user("carol").delete(f"/teams/{cast.team.pk}/members/{of['carol']}").status_code == 204
    assert as_user("alice").delete(f"/teams/{cast.team.pk}/members/{of['bob']}").status_code == 204
    assert as_user("alice").delete(f"/teams/{cast.empty_team.pk}/members/{of['bob']}").status_code == 404
    assert cast.team.memberships.count() == 1


@pytest.mark.parametrize(
    ("who", "seen"),
    [("alice", {"alice@test.lan", None}), ("ada", {"alice@test.lan", "bob@test.lan", "carol@test.lan"})],
)
def test_members_see_of_each_other_who_they_are_and_nothing_personal(as_user, cast, who, seen):
    # Whoever owns a team can make anybody a member; 2.4 then told the address and the last sign-in.
    members = as_user(who).get(f"/teams/{cast.team.pk}/members").json()

    assert {member["username"] for member in members} == {"alice", "bob", "carol"}
    assert {member["email"] for member in members} == seen


# Lists


def test_a_list_is_complete_unless_pages_are_asked_for(as_user, cast):
    for number in range(30):
        Team.objects.create(name=f"crew {number:02}")
    ada = as_user("ada")

    complete = ada.get("/teams")
    assert len(complete.json()) == 32
    assert "Link" not in complete
    page = ada.get("/teams?per_page=10&page=2&sort_attr=name&sort_order=desc")
    assert [team["name"] for team in page.json()] == [f"crew {number:02}" for number in range(21, 11, -1)]
    assert (page["X-Total"], page["X-Total-Pages"], page["X-Prev-Page"], page["X-Next-Page"]) == ("32", "4", "1", "3")
    after = ada.get(f"/teams?after={complete.json()[9]['id']}&per_page=10")
    assert after.json() == complete.json()[10:20]
    assert f"after={after.json()[-1]['id']}" in after["Link"]
    assert len(ada.get("/teams?page=1&all=true").json()) == 32
    assert ada.get("/teams?page=99").json() == []


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=101", "per_page=0", "sort_order=up", "after=-1"])
def test_paging_that_makes_no_sense_is_400(as_user, query):
    assert as_user("ada").get(f"/teams?{query}").status_code == 400


@pytest.mark.parametrize("path", ["/teams", "/namespaces", "/teams/{team}/members", "/teams/{team}/memberships"])
def test_lists_cost_the_same_for_one_row_and_for_many(
    as_user, cast, make_namespace, make_user, django_assert_max_num_queries, path
):
    ada, path = as_user("ada"), path.format(team=cast.team.pk)
    ada.get(path)
    for number in range(20):
        team = Team.objects.create(name=f"crew {number}")
        make_namespace(team=team)
        Membership.objects.create(team=cast.team, user=make_user(f"user{number}"), role=Role.VIEWER)

    with django_assert_max_num_queries(5):
        assert len(ada.get(path).json()) > 20


# Namespaces


@pytest.fixture
def namespace(cast, make_namespace):
    return make_namespace("team", team=cast.team)


# Who may: see a private namespace, describe it, move it to a team of hers, open it.
NAMESPACE_RIGHTS = [
    ("alice", True, True),
    ("bob", True, False),
    ("carol", True, False),
    ("dave", False, False),
    ("ada", True, True),
]


@pytest.mark.parametrize(("who", "look", "manage"), NAMESPACE_RIGHTS)
def test_a_private_namespace_by_role(as_user, namespace, who, look, manage):
    asker, path = as_user(who), f"/namespaces/{namespace.pk}"

    assert asker.get(path).status_code == (200 if look else 403)
    assert asker.get(f"{path}/repositories").status_code == (200 if look else 403)
    assert (namespace.pk in {entry["id"] for entry in asker.get("/namespaces").json()}) is look
    for change in ({"description": "x"}, {"visibility": "public"}):
        assert asker.put(path, {"namespace": change}).status_code == (200 if manage else 403)


@pytest.mark.parametrize("visibility", [Visibility.PROTECTED, Visibility.PUBLIC])
def test_what_is_open_is_listed_and_shown_to_strangers(as_user, cast, make_namespace, visibility):
    open_one = make_namespace("open", team=cast.team, visibility=visibility)

    assert as_user("dave").get(f"/namespaces/{open_one.pk}").json()["visibility"] == visibility.label
    assert open_one.pk in {entry["id"] for entry in as_user("dave").get("/namespaces").json()}


def test_what_a_namespace_looks_like(as_user, cast, namespace, registry):
    body = as_user("alice").get(f"/namespaces/{namespace.pk}").json()

    assert list(body) == [
        "id", "name", "created_at", "updated_at", "description", "team", "visibility", "global",
    ]  # fmt: skip
    assert body["team"] == {"id": cast.team.pk, "name": "team-of-tests", "hidden": False}
    of_all = registry.namespaces.get(global_marker=True)
    assert as_user("dave").get(f"/namespaces/{of_all.pk}").json()["name"] == registry.hostname


@pytest.mark.parametrize(("path", "status"), [("/namespaces/x", 400), ("/namespaces/999999", 404)])
def test_a_number_that_is_none_is_400_and_an_unknown_one_404(as_user, path, status):
    assert as_user("ada").get(path).status_code == status


CREATE = [("alice", 201, 403), ("bob", 201, 403), ("carol", 403, 403), ("dave", 403, 403), ("ada", 201, 201)]


@pytest.mark.parametrize(("who", "status", "without_option"), CREATE)
def test_who_creates_a_namespace(as_user, cast, configure, who, status, without_option):
    asker = as_user(who)

    assert asker.post("/namespaces", {"name": "one", "team": cast.team.name}).status_code == status
    configure(**{"user_permission.create_namespace.enabled": False})
    assert asker.post("/namespaces", {"name": "two", "team": cast.team.name}).status_code == without_option
    assert Activity.objects.filter(key="namespace.create").count() == [status, without_option].count(201)


REFUSED_NAMESPACES = [
    ({}, 400),
    ({"name": "one"}, 400),
    ({"name": "one", "team": "unknown"}, 404),
    ({"name": "one", "team": "alice"}, 404),  # her hidden team
    ({"name": "", "team": "team-of-tests"}, 422),
    ({"name": "Not Valid", "team": "team-of-tests"}, 422),
    ({"name": "team", "team": "team-of-tests"}, 422),
]


@pytest.mark.parametrize(("sent", "status"), REFUSED_NAMESPACES)
def test_a_namespace_that_cannot_be_created(as_user, namespace, sent, status):
    assert as_user("ada").post("/namespaces", sent).status_code == status


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("free", []),
        ("team", ["has already been taken"]),
        ("Not Valid", ["can only contain lower case alphanumeric characters, with optional underscores and dashes in"
                       " the middle."]),
    ],
)  # fmt: skip
def test_whether_a_name_is_valid(as_user, namespace, name, reasons):
    body = as_user("dave").get(f"/namespaces/validate?name={name}").json()

    assert body == {"messages": {"name": reasons} if reasons else {}, "valid": not reasons}


def test_several_changes_are_as_many_activities(as_user, namespace):
    sent = {"namespace": {"name": "new", "description": "x", "visibility": "public"}}

    response = as_user("alice").put(f"/namespaces/{namespace.pk}", sent)

    assert (response.json()["name"], response.json()["visibility"]) == ("new", "public")
    assert Activity.objects.filter(key__startswith="namespace.change").count() == 3


def test_a_change_that_cannot_be_made_takes_the_others_back(as_user, namespace, make_namespace):
    make_namespace("taken", team=namespace.team)
    for wrong in ({"name": "taken"}, {"visibility": "open"}, {"team": "unknown"}):
        sent = {"namespace": {"description": "x", **wrong}}
        assert as_user("alice").put(f"/namespaces/{namespace.pk}", sent).status_code in {404, 422}

    namespace.refresh_from_db()
    assert namespace.description == ""
    assert not Activity.objects.filter(key__startswith="namespace.change").exists()


def test_a_namespace_with_repositories_keeps_its_name(as_user, namespace, make_repository):
    # In 2.4 the record alone was renamed, and the images were out of reach.
    make_repository(namespace=namespace)

    response = as_user("alice").put(f"/namespaces/{namespace.pk}", {"namespace": {"name": "new"}})

    assert response.status_code == 422


@pytest.mark.parametrize(
    ("who", "role", "status"),
    [("alice", None, 404), ("alice", Role.CONTRIBUTOR, 403), ("alice", Role.OWNER, 200), ("ada", None, 200)],
)
def test_a_namespace_moves_only_to_a_team_that_one_owns_too(as_user, cast, namespace, who, role, status):
    if role is not None:
        Membership.objects.create(team=cast.empty_team, user=cast.alice, role=role)

    response = as_user(who).put(f"/namespaces/{namespace.pk}", {"namespace": {"team": "nobodys-team"}})

    assert response.status_code == status
    if status == 404:
        assert response.json()["message"] == "unknown team 'nobodys-team'"
    if status == 200:
        moved = Activity.objects.get(key="namespace.change_team")
        assert (moved.parameters["old"], moved.parameters["new"]) == (cast.team.pk, cast.empty_team.pk)


def test_no_namespace_moves_into_a_hidden_team(as_user, namespace):
    response = as_user("ada").put(f"/namespaces/{namespace.pk}", {"namespace": {"team": "bob"}})

    assert response.status_code == 404


def test_under_the_personal_push_policy_an_owner_is_refused_before_the_team_is_looked_up(as_user, namespace, configure):
    configure(**{"user_permission.push_images.policy": "allow-personal"})

    response = as_user("alice").put(f"/namespaces/{namespace.pk}", {"namespace": {"team": "unknown"}})

    assert response.status_code == 403


def test_the_global_namespace_is_never_private(as_user, registry):
    path = f"/namespaces/{registry.namespaces.get(global_marker=True).pk}"

    response = as_user("ada").put(path, {"namespace": {"visibility": "private"}})

    assert (response.status_code, response.json()["message"]) == (
        422, {"visibility": ["global namespace cannot be private"]},
    )  # fmt: skip
