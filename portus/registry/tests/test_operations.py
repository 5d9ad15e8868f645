"""What happens to registries: each rule, refusals first."""

import hashlib

import pytest
from django.core.exceptions import ValidationError

from portus.accounts.models import User
from portus.accounts.operations import create_user, sign_up
from portus.activities.models import Activity
from portus.registry import operations
from portus.registry.models import Registry, TokenKeyHeader
from portus.teams.models import Membership, Namespace, Role, Team, Visibility
from portus.testing import at_once

pytestmark = pytest.mark.django_db

SECRET = "0123456789abcdef"


def create(name="registry", hostname="registry.test:5000", **fields):
    return operations.create_registry(**{"name": name, "hostname": hostname, "use_ssl": True, "actor": None, **fields})


def problems_of(verb, *args, **fields):
    """The codes of what a verb refuses, by field; nothing is left of what it did."""
    before = counts()
    with pytest.raises(ValidationError) as refused:
        verb(*args, **fields)
    assert counts() == before
    return {field: [error.code for error in errors] for field, errors in refused.value.error_dict.items()}


def counts():
    return [model.objects.count() for model in (Registry, Team, Membership, Namespace, Activity)]


# Refusals


@pytest.mark.parametrize(
    ("name", "codes"),
    [("", ["blank"]), (" ", ["blank"]), ("a\0", ["invalid"]), ("\ud800", ["invalid"]), ("x" * 256, ["max_length"])],
)
def test_names_that_are_refused(name, codes):
    assert problems_of(create, name) == {"name": codes}


NO_HOSTS = [
    "http://registry.test", "registry.test/", "registry.test/v2", "a@b", "a?b", "a#b", "a b", " registry.test",
    "registry.test ", "a\tb", "a\0", "a\n", "\ud800", ":5000", "registry.test:", "registry.test:x", "registry.test:0",
    "registry.test:65536", "registry.test:²", "registry.test:-1", "registry.test:5000:5000", "::1", "[::1", "::1]",
    "[registry]", "[::1]x", "[::1]:", ".", "..", "a..b", "-", "a_b:5000:", "a,b", "a;b", "a%2fb", "a\\b", 'a"b', "<b>",
    "ä.test", "x" * 256,
]  # fmt: skip


@pytest.mark.parametrize("hostname", NO_HOSTS)
def test_host_names_that_are_refused(hostname):
    for fields in ({"hostname": hostname}, {"external_hostname": hostname}):
        found = problems_of(create, **fields)

        assert set(found) == set(fields)
        assert set(*found.values()) <= {"invalid", "max_length"}


@pytest.mark.parametrize(
    "hostname",
    [
        "registry", "localhost:5000", "registry.test:5000", "10.0.0.1", "10.0.0.1:65535", "[::1]", "[::1]:5000",
        "my_registry_1:5000", "Registry.Test", "a-b.c", "xn--bcher-kva.example", "registry.test:1",
    ],
)  # fmt: skip
def test_host_names_that_are_taken(hostname):
    assert create(hostname=hostname).hostname == hostname
    assert create("other", "other.test", external_hostname=f"x{hostname}" if hostname[0] != "[" else "[::2]")


def test_a_blank_host_name_is_refused_and_a_blank_external_one_is_none():
    assert problems_of(create, hostname="") == {"hostname": ["blank"]}
    assert create(external_hostname="").external_hostname is None


def test_whether_it_speaks_https_must_be_said():
    assert problems_of(create, use_ssl=None) == {"use_ssl": ["choice"]}


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"name": "registry"}, {"name": ["unique"]}),
        ({"hostname": "inside.test"}, {"hostname": ["unique"]}),
        ({"hostname": "outside.test"}, {"hostname": ["unique"]}),
        ({"external_hostname": "inside.test"}, {"external_hostname": ["unique"]}),
        ({"external_hostname": "outside.test"}, {"external_hostname": ["unique"]}),
        ({"notification_secret": SECRET}, {"notification_secret": ["unique"]}),
        (
            {"name": "", "hostname": "a b", "use_ssl": None},
            {"name": ["blank"], "hostname": ["invalid"], "use_ssl": ["choice"]},
        ),
    ],
)
def test_a_name_leads_to_one_registry(fields, problems):
    create("registry", "inside.test", external_hostname="outside.test", notification_secret=SECRET)

    assert problems_of(create, **{"name": "other", "hostname": "other.test", **fields}) == problems


def test_both_names_of_one_registry_may_be_the_same():
    create(hostname="registry.test", external_hostname="registry.test")


@pytest.mark.parametrize("secret", [" ", "a b", "a\nb", "ä" * 20, "a\0", "\ud800"])
def test_a_secret_that_no_header_carries_is_refused(secret):
    registry = create()

    assert problems_of(create, "other", "other.test", notification_secret=secret) == {
        "notification_secret": ["invalid"]
    }
    for refused in (secret, ""):
        found = problems_of(operations.set_notification_secret, registry, refused, actor=None)
        assert found == {"notification_secret": ["invalid"]}
    assert registry.notification_secret_digest is None


def test_a_secret_that_can_be_guessed_is_refused():
    registry = create(notification_secret=SECRET)

    found = problems_of(operations.set_notification_secret, registry, SECRET[:-1], actor=None)

    assert found == {"notification_secret": ["secret_too_short"]}
    assert len(SECRET) == operations.SHORTEST_SECRET


# What is made


def test_it_has_its_global_namespace(cast):
    registry = create("other", "other.test")

    namespace = registry.namespaces.global_ones().get()
    assert (namespace.name, namespace.visibility) == ("portus_global_namespace_2", Visibility.PUBLIC)
    assert (namespace.team.name, namespace.team.hidden) == ("portus_global_team_2", True)
    assert namespace.clean_name == "other.test"
    assert "other" in namespace.description


def test_all_administrators_own_the_global_namespace(make_user):
    admins = [make_user("ada", admin=True), make_user("gone", admin=True, is_active=False)]
    make_user("zoe")

    members = create().namespaces.global_ones().get().team.memberships.all()

    assert {(member.user, member.role) for member in members} == {(admin, Role.OWNER) for admin in admins}


def test_everybody_who_is_there_gets_a_namespace_but_bots(make_user):
    people = [make_user(name) for name in ("zoe", "!!!")] + [make_user("gone", is_active=False)]
    make_user("robot", bot=True)

    registry = create()

    owners = set(registry.namespaces.exclude(personal_owner=None).values_list("personal_owner", "name"))
    assert owners == {(people[0].pk, "zoe"), (people[1].pk, f"user{people[1].pk}"), (people[2].pk, "gone")}


def test_names_that_clash_with_those_of_people_get_a_number(make_user):
    for name in ("portus_global_team_1", "portus_global_namespace_1"):
        make_user(name)

    registry = create()

    assert registry.namespaces.global_ones().get().name == "portus_global_namespace_1"
    names = set(registry.namespaces.exclude(personal_owner=None).values_list("name", flat=True))
    assert names == {"portus_global_team_1", "portus_global_namespace_10"}


@pytest.mark.django_db(transaction=True)
def test_who_signs_up_while_a_registry_is_made_has_a_namespace_in_it():
    results = at_once(
        [
            *(lambda number=number: create(f"registry{number}", f"registry{number}.test") for number in range(2)),
            *(
                lambda number=number: sign_up(
                    username=f"user{number}", email=f"{number}@test.lan", password="long enough"
                )
                for number in range(3)
            ),
            *(
                lambda number=number: create_user(
                    username=f"made{number}", email=f"made{number}@test.lan", password="long enough"
                )
                for number in range(3)
            ),
        ]
    )

    assert [result for result in results if not isinstance(result, User | Registry)] == []
    for user in User.objects.all():
        assert user.personal_namespaces.count() == 2
    assert Namespace.objects.global_ones().count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_eight_registries_of_one_name_made_at_the_same_moment_one_is_there():
    results = at_once([create] * 8)

    assert sorted(type(result).__name__ for result in results) == ["Registry"] + ["ValidationError"] * 7


# Changes


def test_a_secret_is_kept_as_its_hash():
    registry = create(notification_secret=SECRET)
    assert registry.notification_secret_digest == hashlib.sha256(SECRET.encode()).hexdigest()

    operations.set_notification_secret(registry, "another-secret-of-us", actor=None)

    stored = Registry.objects.get(pk=registry.pk)
    assert stored.notification_secret_digest == hashlib.sha256(b"another-secret-of-us").hexdigest()
    assert registry.notification_secret_digest == stored.notification_secret_digest


def test_setting_the_same_secret_leaves_no_trace():
    registry = create(notification_secret=SECRET)

    operations.set_notification_secret(registry, SECRET, actor=None)

    assert not Activity.objects.filter(key="registry.change_secret").exists()


def test_another_registrys_secret_changes_nothing():
    create(notification_secret=SECRET)
    other = create("other", "other.test", notification_secret="another-secret-of-us")
    before = other.notification_secret_digest

    assert problems_of(operations.set_notification_secret, other, SECRET, actor=None) == {
        "notification_secret": ["unique"]
    }
    assert other.notification_secret_digest == before


def test_a_registry_that_moved_keeps_its_namespaces():
    registry = create()
    namespaces = set(registry.namespaces.values_list("pk", flat=True))

    operations.rename_host(registry, "new.test", "outside.test", actor=None)

    stored = Registry.objects.get(pk=registry.pk)
    assert (stored.hostname, stored.external_hostname) == ("new.test", "outside.test")
    assert (registry.hostname, registry.external_hostname) == ("new.test", "outside.test")
    assert set(stored.namespaces.values_list("pk", flat=True)) == namespaces
    operations.rename_host(registry, "new.test", "", actor=None)
    assert Registry.objects.get(pk=registry.pk).external_hostname is None


@pytest.mark.parametrize(
    ("hostname", "external"), [("other.test", None), ("new.test", "other.test"), ("a b", None), ("", None)]
)
def test_a_move_to_another_registrys_name_changes_nothing(hostname, external):
    registry = create()
    create("other", "other.test")

    problems_of(operations.rename_host, registry, hostname, external, actor=None)

    assert (registry.hostname, registry.external_hostname) == ("registry.test:5000", None)


@pytest.mark.parametrize("header", list(TokenKeyHeader))
def test_how_tokens_name_their_key_is_set_once(header):
    registry = create()

    operations.set_token_key_header(registry, header, actor=None)
    operations.set_token_key_header(registry, header, actor=None)

    assert Registry.objects.get(pk=registry.pk).token_key_header == header
    recorded = Activity.objects.filter(key="registry.change_token_key_header")
    assert recorded.count() == int(header != TokenKeyHeader.AUTOMATIC)


def test_several_changes_happen_together_and_each_is_recorded():
    registry = create()

    operations.update_registry(
        registry, name="other", hostname="other.test", use_ssl=False, external_hostname="outside.test",
        notification_secret=SECRET, actor=None,
    )  # fmt: skip

    stored = Registry.objects.get(pk=registry.pk)
    assert (stored.name, stored.hostname, stored.external_hostname, stored.use_ssl) == (
        "other", "other.test", "outside.test", False,
    )  # fmt: skip
    assert stored.notification_secret_digest == operations.secret_digest(SECRET)
    assert registry.updated_at == stored.updated_at
    recorded = Activity.objects.exclude(key="registry.create").filter(subject_kind="registry")
    assert {activity.key: activity.parameters for activity in recorded} == {
        "registry.change_name": {"old": "registry", "new": "other"},
        "registry.change_use_ssl": {"old": True, "new": False},
        "registry.change_hostname": {"old": "registry.test:5000", "new": "other.test"},
        "registry.change_secret": {},
    }


def test_what_stays_as_it_is_leaves_no_trace():
    registry = create()
    before = counts()

    operations.update_registry(registry, name="registry", hostname="registry.test:5000", use_ssl=True, actor=None)

    assert counts() == before


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"name": " "}, {"name": ["blank"]}),
        ({"name": "other", "hostname": "other.test"}, {"name": ["unique"], "hostname": ["unique"]}),
        ({"use_ssl": None}, {"use_ssl": ["choice"]}),
        ({"external_hostname": "a b"}, {"external_hostname": ["invalid"]}),
        ({"notification_secret": ""}, {"notification_secret": ["invalid"]}),
    ],
)
def test_of_changes_that_are_refused_none_happens(changes, problems):
    registry = create()
    create("other", "other.test")

    assert problems_of(
        operations.update_registry, registry, actor=None, **{"external_hostname": "x.test", **changes}
    ) == (problems)
    assert Registry.objects.get(pk=registry.pk).external_hostname is None


def test_the_host_name_stays_while_there_are_repositories(make_repository):
    registry = create()
    make_repository(namespace=registry.namespaces.get())

    assert problems_of(operations.update_registry, registry, hostname="new.test", actor=None) == {
        "hostname": ["not_empty"]
    }
    operations.update_registry(registry, hostname=registry.hostname, external_hostname="new.test", actor=None)
    assert Registry.objects.get(pk=registry.pk).external_hostname == "new.test"
