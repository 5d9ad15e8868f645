"""What happens to teams, members and namespaces: each rule, refusals first."""

from functools import partial

import pytest
from django.core.exceptions import ValidationError

from portus.accounts.models import User
from portus.accounts.operations import create_user
from portus.activities.models import Activity
from portus.teams import namespaces, operations
from portus.teams.models import Membership, Namespace, Role, Team, Visibility
from portus.testing import at_once

pytestmark = pytest.mark.django_db


def problems_of(verb, *args, **fields):
    """The codes of what a verb refuses, by field; nothing is left of what it did."""
    before = counts()
    with pytest.raises(ValidationError) as refused:
        verb(*args, **fields)
    assert counts() == before
    by_field = refused.value.error_dict if hasattr(refused.value, "error_dict") else {"": refused.value.error_list}
    return {field: [error.code for error in errors] for field, errors in by_field.items()}


def counts():
    return [model.objects.count() for model in (Team, Membership, Namespace, Activity)]


def settled(results):
    return sorted(type(result).__name__ for result in results)


# Teams


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("", ["blank"]),
        ("  ", ["blank"]),
        ("team-of-tests", ["unique"]),
        (" team-of-tests ", ["unique"]),
        ("alice", ["unique"]),  # her personal team
        ("a\0", ["invalid"]),
        ("a\nb", ["invalid"]),
        ("\ud800", ["invalid"]),
        ("x" * 256, ["max_length"]),
    ],
)
def test_team_names_that_are_refused(cast, name, codes):
    assert problems_of(operations.create_team, name=name, owner=cast.alice, actor=cast.alice) == {"name": codes}


@pytest.mark.parametrize("name", ["Team Of Tests", "TEAM-OF-TESTS", "<b>", "日本", "x" * 255])
def test_team_names_have_no_format(cast, name):
    team = operations.create_team(name=name, description="Its\nlines", owner=cast.alice, actor=cast.ada)

    assert (team.name, team.description, team.hidden) == (name, "Its\nlines", False)
    assert [(member.user, member.role) for member in team.memberships.all()] == [(cast.alice, Role.OWNER)]


@pytest.mark.parametrize("description", ["a\0b", "\ud800"])
def test_a_description_that_no_database_stores_is_refused(cast, registry, description):
    team = {"name": "new", "description": description, "owner": cast.alice, "actor": cast.alice}
    namespace = {"name": "new", "team": cast.team, "registry": registry, "description": description, "actor": cast.ada}

    assert problems_of(operations.create_team, **team) == {"description": ["invalid"]}
    assert problems_of(namespaces.create_namespace, **namespace) == {"description": ["invalid"]}


@pytest.mark.django_db(transaction=True)
def test_of_eight_teams_of_one_name_made_at_the_same_moment_one_is_there(make_user):
    user = make_user("zoe")

    results = at_once([lambda: operations.create_team(name="new", owner=user, actor=user) for _ in range(8)])

    assert settled(results) == ["Team"] + ["ValidationError"] * 7
    assert Membership.objects.filter(team__name="new").count() == 1


# Members


@pytest.mark.parametrize("role", list(Role))
def test_a_member_is_added_with_a_role(cast, role):
    assert operations.add_member(cast.team, cast.dave, role, actor=cast.alice).role == role
    assert cast.team.memberships.get(user=cast.dave).role == role


@pytest.mark.parametrize("role", list(Role))
def test_an_administrator_is_always_an_owner(cast, role):
    assert operations.add_member(cast.team, cast.ada, role, actor=cast.alice).role == Role.OWNER


def test_nobody_is_a_member_twice(cast):
    assert problems_of(operations.add_member, cast.team, cast.bob, Role.OWNER, actor=cast.alice) == {"user": ["unique"]}
    assert cast.team.memberships.get(user=cast.bob).role == Role.CONTRIBUTOR


@pytest.mark.parametrize("team", ["alice", "portus_global_team_1"])
def test_a_hidden_team_takes_no_members(cast, team):
    hidden = Team.objects.get(name=team)

    assert problems_of(operations.add_member, hidden, cast.bob, Role.OWNER, actor=cast.ada) == {"": ["hidden"]}


def test_bots_and_disabled_users_can_be_members(cast, make_user):
    for user in (make_user("robot", bot=True), make_user("gone", is_active=False)):
        operations.add_member(cast.team, user, Role.CONTRIBUTOR, actor=cast.alice)


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_add_the_same_member_at_the_same_moment_one_does(make_user):
    owner, user = make_user("owner"), make_user("zoe")
    team = operations.create_team(name="new", owner=owner, actor=owner)

    results = at_once([lambda: operations.add_member(team, user, Role.VIEWER, actor=owner) for _ in range(8)])

    assert settled(results) == ["Membership"] + ["ValidationError"] * 7


# Namespaces


@pytest.mark.parametrize(
    "name", ["test1", "1test", "another-test", "a", "1", "1.0", "r2d2", "thingie", "is_valid", "a.b-c_d", "a" * 255]
)
def test_namespace_names_that_are_taken(cast, registry, name):
    namespace = namespaces.create_namespace(name=name, team=cast.team, registry=registry, actor=cast.alice)

    assert (namespace.name, namespace.team, namespace.visibility) == (name, cast.team, Visibility.PRIVATE)
    assert (namespace.is_global, namespace.personal_owner) == (False, None)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "blank"),
        *(
            (name, "namespace_name")
            for name in ("TesT1", "1Test", "another_test!", "-a", "&a", "_invalid", "R2D2", "a-")
        ),
        *(
            (name, "namespace_name")
            for name in ("a..b", "a__b", "a--b", "a\\b", "a/b", "a b", "ä", "also_invalid_", ".", "a.")
        ),
        ("a" * 256, "max_length"),
        ("a" * 270, "max_length"),
    ],
)
def test_namespace_names_that_are_refused(cast, registry, name, code):
    fields = {"name": name, "team": cast.team, "registry": registry, "actor": cast.alice}

    found = problems_of(namespaces.create_namespace, **fields)

    assert set(found) == {"name"}
    assert set(found["name"]) == {code}


@pytest.mark.parametrize("name", ["a\n", "a\0", "\ud800"])
def test_namespace_names_that_no_database_could_store_are_refused(cast, registry, name):
    fields = {"name": name, "team": cast.team, "registry": registry, "actor": cast.alice}

    assert set(problems_of(namespaces.create_namespace, **fields)["name"]) == {"invalid", "namespace_name"}


def test_a_namespace_name_is_taken_once_per_registry(cast, registry, make_registry):
    fields = {"name": "new", "team": cast.team, "actor": cast.alice}
    namespaces.create_namespace(registry=registry, **fields)

    assert problems_of(namespaces.create_namespace, registry=registry, **fields) == {"name": ["unique"]}
    personal = {**fields, "name": "alice"}
    assert problems_of(namespaces.create_namespace, registry=registry, **personal) == {"name": ["unique"]}
    namespaces.create_namespace(registry=make_registry("other", "other.test"), **fields)


def test_a_hidden_team_takes_no_namespaces(cast, registry):
    fields = {"name": "new", "team": Team.objects.get(name="alice"), "registry": registry, "actor": cast.alice}

    assert problems_of(namespaces.create_namespace, **fields) == {"team": ["hidden"]}


@pytest.mark.django_db(transaction=True)
def test_of_eight_namespaces_of_one_name_made_at_the_same_moment_one_is_there(make_registry, make_user):
    registry, owner = make_registry("registry", "registry.test"), make_user("owner")
    team = operations.create_team(name="new", owner=owner, actor=owner)
    fields = {"name": "new", "team": team, "registry": registry, "actor": owner}

    results = at_once([lambda: namespaces.create_namespace(**fields) for _ in range(8)])

    assert settled(results) == ["Namespace"] + ["ValidationError"] * 7


@pytest.mark.django_db(transaction=True)
def test_somebody_who_takes_the_name_of_a_new_user_at_the_same_moment_is_no_error(make_registry, make_user):
    registry, owner = make_registry("registry", "registry.test"), make_user("owner")
    team = operations.create_team(name="new", owner=owner, actor=owner)
    names = [f"zoe{number}" for number in range(4)]

    results = at_once(
        [
            *(
                lambda name=name: namespaces.create_namespace(name=name, team=team, registry=registry, actor=owner)
                for name in names
            ),
            *(
                lambda name=name: create_user(username=name, email=f"{name}@test.lan", password="long enough")
                for name in names
            ),
        ]
    )

    assert [result for result in results if not isinstance(result, User | Namespace | ValidationError)] == []
    assert Namespace.objects.filter(personal_owner__username__in=names).count() == 4


# Visibility


def test_the_global_namespace_is_never_private(registry, cast):
    namespace = Namespace.objects.global_ones().get()

    assert problems_of(namespaces.change_visibility, namespace, Visibility.PRIVATE, actor=cast.ada) == {
        "visibility": ["global"]
    }
    assert namespace.visibility == Visibility.PUBLIC
    assert namespaces.change_visibility(namespace, Visibility.PROTECTED, actor=cast.ada)
    assert Namespace.objects.global_ones().get().visibility == Visibility.PROTECTED


@pytest.mark.parametrize("visibility", list(Visibility))
def test_visibility_is_changed_once(cast, make_namespace, visibility):
    namespace = make_namespace(team=cast.team, visibility=Visibility.PRIVATE)

    changed = namespaces.change_visibility(namespace, visibility, actor=cast.alice)

    assert changed is (visibility is not Visibility.PRIVATE)
    assert not namespaces.change_visibility(namespace, visibility, actor=cast.alice)
    assert Namespace.objects.get(pk=namespace.pk).visibility == visibility
    assert Activity.objects.filter(key="namespace.change_visibility").count() == int(changed)


# The names that are made of user names


@pytest.mark.parametrize(
    ("username", "name"),
    [
        *((name, name) for name in ("name", "a", "45", "flavio.castelli", "a_a", "a.b", "0")),
        ("_name", "name"),
        ("name_", "name"),
        ("___name_-aa__", "name_aa"),
        ("_ma._.n", "ma_n"),
        ("Miquel.Sabate.", "miquel.sabate"),
        ("!lol!name", "lol_name"),
        ("user@example.com", "user_example.com"),
        ("José", "jos"),
        ("NAME", "name"),
        ("a  b", "a_b"),
        ("x" * 255, "x" * 255),
        ("x" * 254 + ".x", "x" * 254),
        # Portus 2.4 made `my_name` of the first, let the second through, and could make nothing of the others.
        ("my-name", "my-name"),
        ("domain\\user", "domain_user"),
        ("a^b", "a_b"),
        ("a]b", "a_b"),
    ],
)
def test_the_namespace_of_a_user_name(username, name):
    assert namespaces.namespace_name_for(username) == name


@pytest.mark.parametrize("username", ["", ".", "_", "-", "!!!!", "日本", "._-"])
def test_no_namespace_can_be_made_of(username):
    with pytest.raises(ValidationError) as refused:
        namespaces.namespace_name_for(username)

    assert list(refused.value.error_dict) == ["username"]


def test_a_name_that_is_taken_gets_a_number(registry, make_user, cast, make_namespace):
    names = [make_user(f"zoe{sign}x").personal_namespaces.get().name for sign in "!?=+"]

    assert names == ["zoe_x", "zoe_x0", "zoe_x1", "zoe_x2"]


def test_a_long_name_that_is_taken_makes_room_for_its_number(registry, make_user):
    users = [make_user("x" * 100 + sign + "x" * 154, email=f"{sign}@test.lan") for sign in "!?"]
    first, second = (user.personal_namespaces.get().name for user in users)

    assert first == "x" * 100 + "_" + "x" * 154
    assert second == "x" * 100 + "_" + "x" * 153 + "0"


def test_a_user_of_whose_name_none_can_be_made_is_named_by_her_number(registry, make_user):
    """Such users come from another database."""
    user = make_user("!!!")

    assert user.personal_namespaces.get().name == f"user{user.pk}"


def test_a_personal_namespace_is_made_once_and_for_no_bot(registry, cast, make_user):
    assert namespaces.create_personal_namespace(cast.alice, registry) is None
    assert namespaces.create_personal_namespace(make_user("robot", bot=True), registry) is None
    assert Namespace.objects.filter(personal_owner=cast.alice).count() == 1


def test_a_user_who_comes_back_gets_another_namespace(registry, make_user):
    make_user("zoe").delete()

    namespace = make_user("zoe").personal_namespaces.get()

    assert (namespace.name, namespace.team.name) == ("zoe0", "zoe0")


@pytest.mark.django_db(transaction=True)
def test_of_two_renames_to_one_name_at_once_one_is_refused(cast, make_namespace):
    teams = [cast.team, cast.empty_team]
    names = [make_namespace(team=cast.team) for _ in range(2)]

    renamed = at_once(
        [
            *(partial(operations.update_team, team, name="same", actor=cast.ada) for team in teams),
            *(partial(namespaces.update_namespace, namespace, name="same", actor=cast.ada) for namespace in names),
        ]
    )

    assert sum(isinstance(result, ValidationError) for result in renamed) == 2
    assert (Team.objects.filter(name="same").count(), Namespace.objects.filter(name="same").count()) == (1, 1)
