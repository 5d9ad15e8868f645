"""The rules, cell by cell: who may pull, push, delete, change; and that lists and checks agree."""

import itertools

import pytest
from django.contrib.auth.models import AnonymousUser

from portus import policy
from portus.policy import Kind, Standing
from portus.teams.models import Role, Visibility

PRIVATE, PROTECTED, PUBLIC = Visibility.PRIVATE, Visibility.PROTECTED, Visibility.PUBLIC
VIEWER, CONTRIBUTOR, OWNER = Role.VIEWER, Role.CONTRIBUTOR, Role.OWNER


def stand(who, *, kind=Kind.TEAM, visibility=PRIVATE, owns_personal=False):
    return Standing(
        user_id=None if who == "anonymous" else 7,
        admin=who == "admin",
        kind=kind,
        visibility=visibility,
        role={"viewer": VIEWER, "contributor": CONTRIBUTOR, "owner": OWNER}.get(who),
        owns_personal=owns_personal,
    )


WHO = ("anonymous", "stranger", "viewer", "contributor", "owner", "admin")

# One row a namespace, one letter a person in the order of WHO.
PULL = [
    (Kind.TEAM, PUBLIC, "YYYYYY"),
    (Kind.TEAM, PROTECTED, "-YYYYY"),
    (Kind.TEAM, PRIVATE, "--YYYY"),
    (Kind.PERSONAL, PUBLIC, "YYYYYY"),
    (Kind.PERSONAL, PROTECTED, "-YYYYY"),
    (Kind.PERSONAL, PRIVATE, "--YYYY"),
    (Kind.GLOBAL, PUBLIC, "YYYYYY"),
    (Kind.GLOBAL, PROTECTED, "-YYYYY"),
    (Kind.GLOBAL, PRIVATE, "-YYYYY"),  # refused by a constraint; the rule says the same as for protected
]


def cells(rows):
    return [
        pytest.param(*names, who, letter == "Y", id="-".join(str(getattr(n, "name", n)) for n in (*names, who)))
        for *names, letters in rows
        for who, letter in zip(WHO, letters, strict=True)
    ]


@pytest.mark.parametrize(("kind", "visibility", "who", "allowed"), cells(PULL))
def test_pull(kind, visibility, who, allowed):
    assert policy.can_pull(stand(who, kind=kind, visibility=visibility)) is allowed


PUSH = [
    ("allow-teams", Kind.GLOBAL, "---YYY"),
    ("allow-teams", Kind.PERSONAL, "---YYY"),
    ("allow-teams", Kind.TEAM, "---YYY"),
    ("allow-personal", Kind.GLOBAL, "-----Y"),
    ("allow-personal", Kind.PERSONAL, "-----Y"),
    ("allow-personal", Kind.TEAM, "-----Y"),
    ("admin-only", Kind.GLOBAL, "-----Y"),
    ("admin-only", Kind.PERSONAL, "-----Y"),
    ("admin-only", Kind.TEAM, "-----Y"),
]


@pytest.mark.parametrize("visibility", list(Visibility))
@pytest.mark.parametrize(("push_policy", "kind", "who", "allowed"), cells(PUSH))
def test_push(configure, push_policy, kind, who, allowed, visibility):
    configure(**{"user_permission.push_images.policy": push_policy})

    assert policy.can_push(stand(who, kind=kind, visibility=visibility)) is allowed


@pytest.mark.parametrize(
    ("push_policy", "allowed"), [("allow-teams", True), ("allow-personal", True), ("admin-only", False)]
)
def test_push_to_ones_own_personal_namespace(configure, push_policy, allowed):
    configure(**{"user_permission.push_images.policy": push_policy})

    assert policy.can_push(stand("owner", kind=Kind.PERSONAL, owns_personal=True)) is allowed


def test_a_personal_namespace_that_moved_to_a_foreign_team_takes_pushes_by_role_or_by_person(configure):
    moved = stand("stranger", kind=Kind.PERSONAL, owns_personal=True)

    configure(**{"user_permission.push_images.policy": "allow-teams"})
    assert policy.can_push(moved) is False
    configure(**{"user_permission.push_images.policy": "allow-personal"})
    assert policy.can_push(moved) is True


@pytest.mark.parametrize("kind", list(Kind))
def test_by_a_push_policy_that_we_do_not_know_nobody_pushes(settings, kind):
    # Nobody can configure one; a policy that is added to the options and forgotten in the rule would be one.
    push_images = settings.PORTUS.user_permission.push_images.model_copy(update={"policy": "everybody"})
    user_permission = settings.PORTUS.user_permission.model_copy(update={"push_images": push_images})
    settings.PORTUS = settings.PORTUS.model_copy(update={"user_permission": user_permission})

    for who in WHO:
        assert policy.can_push(stand(who, kind=kind, owns_personal=True)) is False


DELETE = [
    (False, False, "------"),
    (False, True, "------"),
    (True, False, "----YY"),
    (True, True, "---YYY"),
]


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(("enabled", "contributors", "who", "allowed"), cells(DELETE))
def test_delete(configure, enabled, contributors, who, allowed, kind):
    configure(**{"delete.enabled": enabled, "delete.contributors": contributors})
    standing = stand(who, kind=kind)

    assert policy.can_delete(standing) is allowed
    assert policy.can_delete_namespace(standing) is (allowed and kind is not Kind.GLOBAL)


# option on/off; the push policy is the default, allow-teams
CREATE = [(True, "---YYY"), (False, "-----Y")]
UPDATE = [(True, "----YY"), (False, "-----Y")]
VISIBILITY = [(True, Kind.TEAM, "----YY"), (False, Kind.TEAM, "-----Y"), (True, Kind.GLOBAL, "-----Y")]


@pytest.mark.parametrize(("option", "who", "allowed"), cells(CREATE))
def test_create_namespace(configure, option, who, allowed):
    configure(**{"user_permission.create_namespace.enabled": option})

    assert policy.can_create_namespace(stand(who)) is allowed


@pytest.mark.parametrize(("option", "who", "allowed"), cells(UPDATE))
def test_update_and_move_namespace(configure, option, who, allowed):
    configure(**{"user_permission.manage_namespace.enabled": option})

    assert policy.can_update_namespace(stand(who)) is allowed
    assert policy.can_change_team(stand(who)) is allowed


@pytest.mark.parametrize("push_policy", ["allow-personal", "admin-only"])
def test_who_may_not_push_may_neither_create_nor_update_a_team_namespace(configure, push_policy):
    configure(**{"user_permission.push_images.policy": push_policy})

    assert policy.can_create_namespace(stand("owner")) is False
    assert policy.can_update_namespace(stand("owner")) is False
    assert policy.can_change_team(stand("owner")) is True
    assert policy.can_create_namespace(stand("admin")) is True


@pytest.mark.parametrize(("option", "kind", "who", "allowed"), cells(VISIBILITY))
def test_change_visibility(configure, option, kind, who, allowed):
    configure(**{"user_permission.change_visibility.enabled": option})

    assert policy.can_change_visibility(stand(who, kind=kind)) is allowed


def test_the_catalog_is_for_administrators(cast):
    assert policy.can_use_catalog(None) is False
    assert policy.can_use_catalog(cast.alice) is False
    assert policy.can_use_catalog(cast.ada) is True


# Lists and checks


@pytest.fixture
def landscape(db, cast, make_namespace, make_repository, registry):
    """One namespace of each visibility in Alice's team, the global one, a personal one, and a discovered one."""
    namespaces = [make_namespace(team=cast.team, visibility=visibility) for visibility in Visibility]
    namespaces.append(registry.namespaces.get(global_marker=True))
    namespaces.append(cast.alice.personal_namespaces.get())
    namespaces.append(make_namespace(team=None, visibility=PRIVATE, name="discovered"))
    namespaces.append(make_namespace(team=cast.empty_team, visibility=PUBLIC, name="nobodys"))
    for namespace in namespaces:
        make_repository(namespace=namespace)
    return namespaces


@pytest.mark.parametrize("who", ["anonymous", "alice", "bob", "carol", "dave", "ada"])
def test_what_is_listed_is_what_may_be_opened(landscape, cast, who):
    user = AnonymousUser() if who == "anonymous" else getattr(cast, who)

    listed = set(policy.visible_namespaces(user))
    may_open = {namespace for namespace in landscape if policy.can_show(policy.standing(user, namespace))}
    assert listed & set(landscape) == may_open

    repositories = {repository.namespace for repository in policy.visible_repositories(user)}
    assert repositories == may_open


@pytest.mark.parametrize("who", ["anonymous", "alice", "bob", "carol", "dave", "ada"])
def test_teams_listed_are_teams_that_may_be_opened(landscape, cast, who):
    user = AnonymousUser() if who == "anonymous" else getattr(cast, who)
    teams = {cast.team, cast.empty_team, cast.alice.personal_namespaces.get().team}

    assert set(policy.visible_teams(user)) == {team for team in teams if policy.can_show_team(user, team)}


@pytest.mark.parametrize(
    ("who", "show", "update", "update_without_option"),
    [
        ("alice", True, True, False),
        ("bob", True, False, False),
        ("carol", True, False, False),
        ("dave", False, False, False),
        ("ada", True, True, True),
    ],
)
def test_teams_by_role(configure, cast, who, show, update, update_without_option):
    user = getattr(cast, who)

    assert policy.can_show_team(user, cast.team) is show
    assert policy.can_update_team(user, cast.team) is update
    assert policy.can_manage_members(user, cast.team) is update
    configure(**{"user_permission.manage_team.enabled": False})
    assert policy.can_update_team(user, cast.team) is update_without_option


def test_hidden_teams_are_nobodys_to_edit(cast):
    hidden = cast.alice.personal_namespaces.get().team

    for user in (cast.alice, cast.ada):
        assert policy.can_show_team(user, hidden) is False
        assert policy.can_update_team(user, hidden) is False


@pytest.mark.parametrize(
    ("option", "who", "allowed"), [(True, "dave", True), (False, "dave", False), (False, "ada", True)]
)
def test_create_team(configure, cast, option, who, allowed):
    configure(**{"user_permission.create_team.enabled": option})

    assert policy.can_create_team(getattr(cast, who)) is allowed
    assert policy.can_create_team(AnonymousUser()) is False


def test_tokens_are_their_owners_and_the_administrators(cast):
    people = [cast.alice, cast.bob, cast.ada]
    for user, owner in itertools.product(people, people):
        assert policy.can_manage_tokens(user, owner) is (user == owner or user.admin)
    assert policy.can_manage_tokens(AnonymousUser(), cast.alice) is False


def test_a_bots_tokens_are_the_administrators(cast, make_user):
    robot = make_user("robot", bot=True)

    assert policy.can_manage_tokens(robot, robot) is False
    assert policy.can_manage_tokens(cast.ada, robot) is True


def test_accounts_are_the_administrators_but_for_ones_own(cast, make_user):
    robot, visitor = make_user("robot", bot=True), AnonymousUser()
    for user, other in itertools.product([visitor, robot, cast.alice, cast.ada], [robot, cast.alice, cast.ada]):
        admin, herself = user == cast.ada, user == other
        assert policy.can_manage_users(user) is admin
        assert policy.can_disable_user(user, other) is (admin or (herself and not other.bot))
        assert policy.can_change_admin(user, other) is (admin and not herself)
        assert policy.can_delete_user(user, other) is (admin and not herself)
        assert policy.can_edit_profile(user) is (user not in (visitor, robot))
