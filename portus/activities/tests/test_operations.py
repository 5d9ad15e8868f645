"""The audit trail: each verb leaves one line, and a line reads the same after everything it is about is gone."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from portus.accounts import administration
from portus.accounts import operations as accounts
from portus.accounts.models import User
from portus.activities.models import Activity
from portus.activities.operations import record
from portus.activities.snapshot import Audience, Snapshot
from portus.registry import operations as registries
from portus.registry.models import TokenKeyHeader
from portus.teams import namespaces
from portus.teams import operations as teams
from portus.teams.models import Membership, Namespace, Role, Team, Visibility

pytestmark = pytest.mark.django_db

PASSWORD = "long enough"


@dataclass
class Thing:
    snapshot: Snapshot

    def audit_snapshot(self):
        return self.snapshot


THING = Thing(
    Snapshot(kind="thing", pk=7, name="a name", audience=Audience.TEAM, namespace_name="space", team_id=3, owner_id=4)
)


def line(activity):
    """Everything that a page, a feed or an export can show of a line, and what decides who sees it."""
    hidden = {"id", "actor"}  # the actor's row may go; her name stays
    return {field.name: getattr(activity, field.attname) for field in Activity._meta.fields if field.name not in hidden}


# One line


def test_a_line_is_a_copy_of_what_it_is_about(cast):
    activity = record("thing.change", THING, cast.bob, actor=cast.alice, old="x", new=1, sure=True, nothing=None)

    stored = Activity.objects.get(pk=activity.pk)
    assert (stored.key, stored.actor, stored.actor_name) == ("thing.change", cast.alice, "alice")
    assert (stored.subject_kind, stored.subject_id, stored.subject_name) == ("thing", 7, "a name")
    assert (stored.recipient_kind, stored.recipient_id, stored.recipient_name) == ("user", cast.bob.pk, "bob")
    assert stored.namespace_name == "space"
    assert (stored.audience, stored.audience_team_id, stored.audience_user_id) == (Audience.TEAM, 3, 4)
    assert stored.parameters == {"old": "x", "new": 1, "sure": True, "nothing": None}
    assert timezone.now() - stored.occurred_at < timedelta(seconds=5)


def test_what_portus_does_itself_has_no_actor():
    activity = record("thing.change", THING, actor=None)

    assert (activity.actor_id, activity.actor_name) == (None, "")


def test_who_acted_elsewhere_is_named(cast):
    then = timezone.now() - timedelta(days=3)

    activity = record("thing.change", THING, actor=None, actor_name="robot", at=then)

    assert (activity.actor_id, activity.actor_name, activity.occurred_at) == (None, "robot", then)


@pytest.mark.parametrize(("enabled", "name"), [(True, "Alice A."), (False, "alice")])
def test_the_actor_is_named_as_people_see_her(cast, configure, enabled, name):
    configure(**{"display_name.enabled": enabled})
    cast.alice.display_name = "Alice A."

    assert record("thing.change", THING, actor=cast.alice).actor_name == name


def test_the_newest_line_comes_first():
    now = timezone.now()
    for days, key in ((2, "old"), (0, "new"), (1, "middle")):
        record(key, THING, actor=None, at=now - timedelta(days=days))
    record("newer", THING, actor=None, at=now)

    assert list(Activity.objects.values_list("key", flat=True)) == ["newer", "new", "middle", "old"]


# Each verb

VERBS = {}


def verb(key, *, subject, actor="alice", recipient="", audience, **parameters):
    """Say what the decorated function, which does something with the cast, is expected to leave."""

    def register(act):
        VERBS[act.__name__] = (act, key, actor, subject, recipient, audience, parameters)
        return act

    return register


@verb("user.create", actor="zoe", subject=("user", "zoe"), audience=Audience.ADMINS, admin=False, bot=False)
def sign_up(cast, registry):
    return accounts.sign_up(username="zoe", email="zoe@test.lan", password=PASSWORD)


@verb("user.create", actor="ada", subject=("user", "zoe"), audience=Audience.ADMINS, admin=True, bot=False)
def create_user(cast, registry):
    fields = {"username": "zoe", "email": "zoe@test.lan", "password": PASSWORD}
    return accounts.create_user(**fields, admin=True, actor=cast.ada)


@verb("user.create", actor="ada", subject=("user", "robot"), audience=Audience.ADMINS, admin=False, bot=True)
def create_bot(cast, registry):
    return accounts.create_user(username="robot", email="r@test.lan", password=None, bot=True, actor=cast.ada)


@verb("user.change_password", subject=("user", "alice"), audience=Audience.ADMINS)
def change_password(cast, registry):
    accounts.change_password(cast.alice, PASSWORD, actor=cast.alice)
    return cast.alice


@verb("user.update", actor="ada", subject=("user", "alice2"), audience=Audience.ADMINS, fields="username", old="alice")
def update_user(cast, registry):
    accounts.update_user(cast.alice, username="alice2", display_name="", actor=cast.ada)
    return cast.alice


@verb("user.disable", actor="ada", subject=("user", "dave"), audience=Audience.ADMINS)
def disable_user(cast, registry):
    administration.disable_user(cast.dave, actor=cast.ada)
    return cast.dave


@verb("user.enable", actor="ada", subject=("user", "dave"), audience=Audience.ADMINS)
def enable_user(cast, registry):
    User.objects.filter(pk=cast.dave.pk).update(is_active=False)
    administration.enable_user(cast.dave, actor=cast.ada)
    return cast.dave


@verb("user.promote", actor="ada", subject=("user", "dave"), audience=Audience.ADMINS)
def promote_user(cast, registry):
    administration.promote_user(cast.dave, actor=cast.ada)
    return cast.dave


@verb("user.demote", actor="ada", subject=("user", "dave"), audience=Audience.ADMINS)
def demote_user(cast, registry):
    User.objects.filter(pk=cast.dave.pk).update(admin=True)
    administration.demote_user(cast.dave, actor=cast.ada)
    return cast.dave


@verb(
    "application_token.create",
    subject=("application_token", "laptop"),
    audience=Audience.ACTOR,
    application="laptop",
)
def create_token(cast, registry):
    return accounts.create_token(cast.alice, "laptop", actor=cast.alice)[0]


@verb(
    "application_token.create",
    actor="ada",
    subject=("application_token", "laptop"),
    recipient=("user", "alice"),
    audience=Audience.ACTOR,
    application="laptop",
)
def create_token_for_somebody(cast, registry):
    return accounts.create_token(cast.alice, "laptop", actor=cast.ada)[0]


@verb("team.create", subject=("team", "new"), audience=Audience.TEAM, team="new")
def create_team(cast, registry):
    return teams.create_team(name="new", owner=cast.bob, actor=cast.alice)


@verb(
    "team.add_member",
    subject=("team", "team-of-tests"),
    recipient=("user", "dave"),
    audience=Audience.TEAM,
    team="team-of-tests",
    team_user="dave",
    role="contributor",
)
def add_member(cast, registry):
    teams.add_member(cast.team, cast.dave, Role.CONTRIBUTOR, actor=cast.alice)
    return cast.team


@verb("namespace.create", subject=("namespace", "new"), audience=Audience.TEAM, team="team-of-tests")
def create_namespace(cast, registry):
    return namespaces.create_namespace(name="new", team=cast.team, registry=registry, actor=cast.alice)


@verb("namespace.change_visibility", subject=("namespace", "alice"), audience=Audience.PUBLIC, visibility="public")
def publish(cast, registry):
    namespace = Namespace.objects.get(name="alice")
    namespaces.change_visibility(namespace, Visibility.PUBLIC, actor=cast.alice)
    return namespace


@verb(
    "namespace.change_visibility",
    subject=("namespace", "registry.test:5000"),
    audience=Audience.SIGNED_IN,
    visibility="protected",
)
def protect_the_global_namespace(cast, registry):
    namespace = Namespace.objects.global_ones().get()
    namespaces.change_visibility(namespace, Visibility.PROTECTED, actor=cast.alice)
    return namespace


@verb("registry.create", subject=("registry", "other"), audience=Audience.ADMINS, hostname="other.test")
def create_registry(cast, registry):
    return registries.create_registry(name="other", hostname="other.test", use_ssl=True, actor=cast.alice)


@verb("registry.change_secret", subject=("registry", "registry"), audience=Audience.ADMINS)
def set_secret(cast, registry):
    registries.set_notification_secret(registry, "0123456789abcdef", actor=cast.alice)
    return registry


@verb(
    "registry.change_hostname",
    subject=("registry", "registry"),
    audience=Audience.ADMINS,
    old="registry.test:5000",
    new="new.test",
)
def rename_host(cast, registry):
    registries.rename_host(registry, "new.test", None, actor=cast.alice)
    return registry


@verb(
    "registry.change_token_key_header",
    subject=("registry", "registry"),
    audience=Audience.ADMINS,
    header="libtrust",
)
def set_token_key_header(cast, registry):
    registries.set_token_key_header(registry, TokenKeyHeader.LIBTRUST, actor=cast.alice)
    return registry


@pytest.fixture
def act(request, cast, registry):
    """Do what a verb does; return the one line it leaves, and the subject."""

    def do(name):
        Activity.objects.all().delete()
        subject = VERBS[name][0](cast, registry)
        return Activity.objects.get(), subject

    return do


@pytest.mark.parametrize("name", VERBS)
def test_each_verb_leaves_one_line(act, name):
    _, key, actor, subject, recipient, audience, parameters = VERBS[name]

    activity, thing = act(name)

    assert activity.key == key
    assert (activity.actor.username, activity.actor_name) == (actor, actor)
    assert (activity.subject_kind, activity.subject_name) == subject
    assert activity.subject_id == thing.pk
    assert (activity.recipient_kind, activity.recipient_name) == (recipient or ("", ""))
    assert activity.audience == audience
    assert activity.parameters == parameters


@pytest.mark.parametrize("name", [name for name in VERBS if VERBS[name][3][0] in {"team", "namespace"}])
def test_what_a_team_does_is_for_its_members(act, name):
    activity, thing = act(name)

    team_id = thing.pk if isinstance(thing, Team) else thing.team_id
    assert activity.audience_team_id == team_id
    assert activity.namespace_name == (thing.clean_name if isinstance(thing, Namespace) else "")


def test_a_token_of_a_bot_is_a_matter_between_the_bot_and_its_administrators(cast, make_user):
    robot = make_user("robot", bot=True)

    token, _ = accounts.create_token(robot, "builds", actor=cast.ada)

    activity = Activity.objects.get(key="application_token.create")
    assert (activity.actor, activity.audience, activity.audience_user_id) == (cast.ada, Audience.ACTOR, robot.pk)
    assert activity.subject_id == token.pk


def test_a_revoked_token_leaves_its_name(cast):
    token, _ = accounts.create_token(cast.alice, "laptop", actor=cast.alice)
    number = token.pk

    accounts.revoke_token(token, actor=cast.alice)

    activity = Activity.objects.get(key="application_token.destroy")
    assert (activity.subject_id, activity.subject_name) == (number, "laptop")
    assert (activity.actor, activity.audience_user_id) == (cast.alice, cast.alice.pk)
    assert activity.parameters == {"application": "laptop"}


def test_the_first_user_leaves_herself_and_her_token(db):
    user, _ = accounts.bootstrap(username="ada", email="ada@test.lan", password=PASSWORD)

    lines = Activity.objects.order_by("pk").values_list("key", "actor", "actor_name", "parameters")
    assert list(lines) == [
        ("user.create", user.pk, "ada", {"admin": True, "bot": False}),
        ("application_token.create", user.pk, "ada", {"application": "bootstrap"}),
    ]


def test_what_is_refused_leaves_nothing(cast, registry):
    Activity.objects.all().delete()

    for refused in (
        lambda: accounts.sign_up(username="alice", email="x@test.lan", password=PASSWORD),
        lambda: accounts.create_token(cast.alice, "", actor=cast.alice),
        lambda: teams.create_team(name="", owner=cast.alice, actor=cast.alice),
        lambda: teams.add_member(cast.team, cast.bob, Role.OWNER, actor=cast.alice),
        lambda: namespaces.create_namespace(name="A", team=cast.team, registry=registry, actor=cast.alice),
        lambda: registries.create_registry(name="x", hostname="a b", use_ssl=True, actor=cast.ada),
    ):
        with pytest.raises(ValidationError):
            refused()

    assert not Activity.objects.exists()


# Afterwards


@pytest.mark.parametrize("name", VERBS)
def test_a_line_reads_the_same_after_everything_is_gone(act, name, cast):
    activity, _ = act(name)
    before = line(activity)

    Namespace.objects.all().delete()
    Membership.objects.all().delete()
    Team.objects.all().delete()
    for user in User.objects.all():
        user.delete()

    activity.refresh_from_db()
    assert line(activity) == before
    assert activity.actor is None


def test_a_line_keeps_the_rule_that_it_was_written_under(cast, make_namespace):
    namespace = make_namespace("secret", team=cast.team)
    namespaces.change_visibility(namespace, Visibility.PROTECTED, actor=cast.alice)
    namespaces.change_visibility(namespace, Visibility.PRIVATE, actor=cast.alice)
    namespaces.change_visibility(namespace, Visibility.PUBLIC, actor=cast.alice)

    audiences = Activity.objects.filter(subject_id=namespace.pk, subject_kind="namespace").order_by("pk")
    assert list(audiences.values_list("audience", flat=True)) == [Audience.SIGNED_IN, Audience.TEAM, Audience.PUBLIC]


def test_a_renamed_actor_keeps_her_old_name_in_old_lines(cast):
    activity = record("thing.change", THING, actor=cast.alice)
    cast.alice.username = "alicia"
    cast.alice.save()

    activity.refresh_from_db()
    assert activity.actor_name == "alice"
