"""What happens to accounts and application tokens: each rule, refusals first."""

import hashlib
import re
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from portus.accounts import operations
from portus.accounts.models import ApplicationToken, SignInFailure, User
from portus.accounts.operations import NotEmpty
from portus.activities.models import Activity
from portus.teams.models import Membership, Namespace, Role, Team, Visibility
from portus.testing import at_once

pytestmark = pytest.mark.django_db

PASSWORD = "long enough"


def sign_up(username="zoe", email=None, password=PASSWORD, **fields):
    email = f"zoe{User.objects.count()}@test.lan" if email is None else email
    return operations.sign_up(username=username, email=email, password=password, **fields)


def problems_of(verb, *args, **fields):
    """The codes of what a verb refuses, by field; nothing is left of what it did."""
    before = counts()
    with pytest.raises(ValidationError) as refused:
        verb(*args, **fields)
    assert counts() == before
    by_field = refused.value.error_dict if hasattr(refused.value, "error_dict") else {"": refused.value.error_list}
    return {field: [error.code for error in errors] for field, errors in by_field.items()}


def counts():
    return [model.objects.count() for model in (User, Team, Membership, Namespace, ApplicationToken, Activity)]


# Signing up: refusals


@pytest.mark.parametrize(
    ("username", "codes"),
    [
        ("", ["blank"]),
        ("a:b", ["invalid"]),
        (" a", ["invalid"]),
        ("a ", ["invalid"]),
        ("a\nb", ["invalid"]),
        ("a\0b", ["invalid"]),
        ("a\u200bb", ["invalid"]),
        ("a\u2028b", ["invalid"]),
        ("a\ud800", ["invalid"]),
        ("portus", ["reserved"]),
        ("PORTUS", ["reserved"]),
        ("\uff50\uff4f\uff52\uff54\uff55\uff53", ["reserved"]),
        ("!!!!!", ["no_namespace"]),
        ("...", ["no_namespace"]),
        ("日本", ["no_namespace"]),
        ("a" * 256, ["max_length"]),
        ("\ufdfa" * 20 + "a", ["max_length"]),  # its normalised form is longer than it looks
    ],
)
def test_user_names_that_are_refused(registry, username, codes):
    assert problems_of(sign_up, username) == {"username": codes}


@pytest.mark.parametrize(
    "username", ["test1", "1test", "a", "Zoë", "a" * 255, "a b", "domain\\user", "j.d@test.lan", "portus2"]
)
def test_user_names_that_are_taken_as_they_are(registry, username):
    assert sign_up(username).username == username


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("alice", "taken"),
        ("ALICE", "taken"),
        ("\uff21lice ", "taken"),
        ("Portus", "reserved"),
        ("al\u200bice", "invalid"),
    ],
)
def test_nobody_is_shown_under_the_name_of_another(cast, name, code):
    for act in (
        lambda: sign_up(display_name=name),
        lambda: operations.update_user(cast.bob, display_name=name, actor=cast.bob),
    ):
        assert problems_of(act) == {"display_name": [code]}


def test_a_user_may_be_shown_under_her_own_name(cast):
    operations.update_user(cast.alice, display_name="Alice", actor=cast.alice)
    operations.update_user(cast.bob, display_name="Bob B.", actor=cast.bob)

    assert (cast.alice.display_name, cast.bob.display_name) == ("Alice", "Bob B.")


@pytest.mark.parametrize(
    ("email", "codes"),
    [
        ("", ["blank"]),
        ("  ", ["blank"]),
        ("nonsense", ["invalid"]),
        ("a@", ["invalid"]),
        ("@b", ["invalid"]),
        ("a@b@c", ["invalid"]),
        ("a b@c", ["invalid"]),
        ("a@b\n", None),
        ("a\0@b", ["invalid"]),
        ("\ud800@b", ["invalid"]),
        (f"{'a' * 250}@b.de", ["max_length"]),
    ],
)
def test_addresses_that_are_refused(email, codes):
    if codes is None:
        assert sign_up(email=email).email == email.strip()
    else:
        assert problems_of(sign_up, email=email) == {"email": codes}


def test_an_address_is_kept_in_lower_case_and_without_blanks():
    assert sign_up(email="  Zoe@Test.LAN ").email == "zoe@test.lan"


@pytest.mark.parametrize(
    ("password", "codes"),
    [
        ("", ["blank"]),
        ("1234567", ["password_too_short"]),
        ("x" * 129, ["max_length"]),
        ("long enough\0", ["invalid"]),
        ("long enough\ud800", ["invalid"]),
    ],
)
def test_passwords_that_are_refused(password, codes):
    assert problems_of(sign_up, password=password) == {"password": codes}


@pytest.mark.parametrize("password", ["12345678", "x" * 128, "ä" * 8, " " * 8, "\U0001f511" * 8])
def test_passwords_that_are_taken(password):
    user = sign_up(password=password)

    assert user.check_password(password)
    assert user.password.startswith("argon2$argon2id$")


@pytest.mark.parametrize(
    ("second", "taken"), [("zoe", True), ("ZOE", True), ("\uff3aoe", True), ("zoe2", False), ("zoé", False)]
)
def test_a_name_is_taken_however_it_is_written(second, taken):
    sign_up("Zoe")

    if taken:
        assert problems_of(sign_up, second) == {"username": ["unique"]}
    else:
        sign_up(second)


def test_an_address_and_a_display_name_are_taken_once():
    sign_up("first", email="a@test.lan", display_name="Zoe")

    assert problems_of(sign_up, "second", email="A@test.lan") == {"email": ["unique"]}
    assert problems_of(sign_up, "second", display_name="Zoe") == {"display_name": ["unique"]}
    assert sign_up("second", display_name="zoe").display_name == "zoe"


def test_display_names_that_are_blank_are_none():
    assert [sign_up(f"user{number}", display_name=name).display_name for number, name in enumerate(["", " ", ""])] == [
        None
    ] * 3


def test_everything_that_is_wrong_is_said_at_once():
    found = problems_of(sign_up, "a:b", email="x", password="short", display_name="a\0")

    assert found == {
        "username": ["invalid"],
        "email": ["invalid"],
        "password": ["password_too_short"],
        "display_name": ["invalid"],
    }


# Signing up: what is made


def test_the_first_user_is_the_administrator_and_no_other():
    first, second = sign_up("first"), sign_up("second")

    assert (first.admin, second.admin) == (True, False)


def test_where_the_option_is_off_nobody_becomes_administrator(configure):
    configure(**{"first_user_admin.enabled": False})

    assert sign_up("first").admin is False


@pytest.mark.parametrize("there", [{"bot": True}, {"is_active": False}])
def test_bots_and_disabled_users_were_first_too(make_user, there):
    make_user("somebody", **there)

    assert sign_up().admin is False
    with pytest.raises(NotEmpty):
        operations.bootstrap(username="ada", email="ada@test.lan", password=PASSWORD)


def test_a_user_gets_a_private_namespace_and_a_hidden_team_of_her_own(registry):
    user = sign_up("Zoë-1")

    namespace = Namespace.objects.get(personal_owner=user)
    assert (namespace.name, namespace.registry, namespace.visibility) == ("zo_1", registry, Visibility.PRIVATE)
    assert namespace.description == "The personal namespace of Zoë-1."
    assert (namespace.team.name, namespace.team.hidden) == ("Zoë-1", True)
    assert [(member.user, member.role) for member in namespace.team.memberships.all()] == [(user, Role.OWNER)]


def test_a_user_gets_a_namespace_in_every_registry(registry, make_registry):
    make_registry("other", "other.test")

    user = sign_up("zoe")

    assert {(n.registry.name, n.name) for n in user.personal_namespaces.all()} == {
        ("registry", "zoe"),
        ("other", "zoe"),
    }
    assert sorted(
        Team.objects.filter(memberships__user=user, namespaces__global_marker=None).values_list("name", flat=True)
    ) == ["zoe", "zoe0"]


def test_without_a_registry_there_is_no_namespace_yet():
    sign_up()

    assert not Namespace.objects.exists()
    assert not Team.objects.exists()


def test_a_namespace_or_team_that_is_there_already_is_not_taken(registry, cast, make_namespace):
    make_namespace("zoe", team=cast.team)
    Team.objects.create(name="zoe")
    Team.objects.create(name="zoe0")

    namespace = sign_up("zoe").personal_namespaces.get()

    assert (namespace.name, namespace.team.name) == ("zoe0", "zoe1")


def test_an_administrator_owns_the_global_namespaces(registry, make_registry):
    make_registry("other", "other.test")

    admin = sign_up()

    for namespace in Namespace.objects.global_ones():
        assert namespace.team.memberships.get(user=admin).role == Role.OWNER
    assert not Membership.objects.filter(user=sign_up("second"), team__namespaces__global_marker=True).exists()


def test_a_bot_has_no_namespace_and_no_password(registry, cast):
    bot = operations.create_user(username="robot", email="r@test.lan", password=None, bot=True, actor=cast.ada)

    assert not bot.has_usable_password()
    assert not bot.personal_namespaces.exists()
    assert not bot.memberships.exists()


@pytest.mark.parametrize("username", ["!!!", "-"])
def test_a_bot_may_have_a_name_that_makes_no_namespace(username):
    operations.create_user(username=username, email="r@test.lan", password=None, bot=True)


# The first user, under a race


def settled(results):
    return sorted(type(result).__name__ for result in results)


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_sign_up_at_the_same_moment_one_is_administrator(registry):
    results = at_once(
        [
            lambda number=number: operations.sign_up(
                username=f"user{number}", email=f"{number}@test.lan", password=PASSWORD
            )
            for number in range(8)
        ]
    )

    assert settled(results) == ["User"] * 8
    assert User.objects.filter(admin=True).count() == 1
    assert Namespace.objects.filter(global_marker=None).count() == 8
    assert Membership.objects.filter(team__namespaces__global_marker=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_bootstrap_at_the_same_moment_one_succeeds():
    results = at_once(
        [
            lambda number=number: operations.bootstrap(
                username=f"user{number}", email=f"{number}@test.lan", password=PASSWORD
            )
            for number in range(8)
        ]
    )

    assert settled(results) == ["NotEmpty"] * 7 + ["tuple"]
    assert User.objects.get().admin
    assert ApplicationToken.objects.get().application == "bootstrap"


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_want_the_same_name_one_gets_it(registry):
    results = at_once(
        [
            lambda number=number: operations.sign_up(username="zoe", email=f"{number}@test.lan", password=PASSWORD)
            for number in range(8)
        ]
    )

    assert settled(results) == ["User"] + ["ValidationError"] * 7
    assert {tuple(error.message_dict) for error in results if isinstance(error, ValidationError)} == {("username",)}


@pytest.mark.django_db(transaction=True)
def test_names_that_make_the_same_namespace_share_it_out(registry):
    names = [f"zoe{sign}1" for sign in "!?=+*#%&"]

    results = at_once(
        [
            lambda name=name, number=number: operations.sign_up(
                username=name, email=f"{number}@test.lan", password=PASSWORD
            )
            for number, name in enumerate(names)
        ]
    )

    assert settled(results) == ["User"] * 8
    wanted = {"zoe_1", *(f"zoe_1{number}" for number in range(7))}
    assert set(Namespace.objects.filter(global_marker=None).values_list("name", flat=True)) == wanted


# The first user by the API


def test_bootstrap_makes_an_administrator_with_a_token(configure):
    configure(**{"first_user_admin.enabled": False})  # it is asked by the endpoint

    user, value = operations.bootstrap(username="ada", email="ada@test.lan", password=PASSWORD)

    assert user.admin
    assert user.check_password(PASSWORD)
    token = user.application_tokens.get()
    assert (token.application, token.digest) == ("bootstrap", hashlib.sha256(value.encode()).hexdigest())


def test_bootstrap_is_refused_when_there_are_users_before_anything_else_is_looked_at(cast):
    with pytest.raises(NotEmpty):
        operations.bootstrap(username="!!", email="x", password="")


def test_bootstrap_says_what_is_wrong():
    found = problems_of(operations.bootstrap, username="portus", email="x", password="short")

    assert found == {"username": ["reserved"], "email": ["invalid"], "password": ["password_too_short"]}


# Changes


def test_a_password_is_changed(cast):
    operations.change_password(cast.alice, "another one", actor=cast.alice)

    assert User.objects.get(pk=cast.alice.pk).check_password("another one")


@pytest.mark.parametrize("password", ["", "short", "x" * 129])
def test_a_bad_password_changes_nothing(cast, password):
    before = cast.alice.password

    assert list(problems_of(operations.change_password, cast.alice, password, actor=cast.alice)) == ["password"]
    assert cast.alice.password == User.objects.get(pk=cast.alice.pk).password == before


def test_a_bot_gets_no_password(make_user, cast):
    robot = make_user("robot", bot=True)

    assert list(problems_of(operations.change_password, robot, PASSWORD, actor=cast.ada)) == ["password"]


def test_details_are_changed(cast):
    operations.update_user(cast.alice, email=" New@Test.lan", display_name=" Alice A. ", actor=cast.alice)

    assert (cast.alice.email, cast.alice.display_name) == ("new@test.lan", "Alice A.")
    stored = User.objects.get(pk=cast.alice.pk)
    assert (stored.email, stored.display_name) == ("new@test.lan", "Alice A.")


def test_details_that_are_refused_change_nothing_not_even_in_memory(cast):
    before = (cast.alice.email, cast.alice.display_name)

    found = problems_of(operations.update_user, cast.alice, email="bob@test.lan", display_name="x", actor=cast.alice)

    assert found == {"email": ["unique"]}
    assert (cast.alice.email, cast.alice.display_name) == before


def test_the_address_of_a_name_that_makes_no_namespace_can_be_changed(make_user):
    """Such users come from another database."""
    user = make_user("!!!!", email="old@test.lan")

    operations.update_user(user, email="new@test.lan", display_name="", actor=user)

    assert user.email == "new@test.lan"


def test_saving_the_same_details_leaves_no_trace(cast):
    operations.update_user(cast.alice, email="ALICE@test.lan", display_name="", actor=cast.alice)

    assert not Activity.objects.filter(key="user.update").exists()


def test_what_two_change_at_the_same_time_is_both_changed(cast):
    first, second = User.objects.get(pk=cast.dave.pk), User.objects.get(pk=cast.dave.pk)
    operations.update_user(first, username="david", password=PASSWORD, actor=cast.ada)

    operations.update_user(second, email="new@test.lan", actor=cast.ada)

    stored = User.objects.get(pk=cast.dave.pk)
    assert (stored.username, stored.username_key, stored.email) == ("david", "david", "new@test.lan")
    assert stored.check_password(PASSWORD)
    assert (second.username, second.password) == ("david", stored.password)


# Application tokens


def test_a_token_is_shown_once_and_kept_as_its_hash(cast):
    token, value = operations.create_token(cast.alice, " laptop ", actor=cast.alice)

    assert re.fullmatch(r"ptk_[A-Za-z0-9]{40}", value)
    assert token.digest == hashlib.sha256(value.encode()).hexdigest()
    assert (token.application, token.user, token.expires_at, token.last_used_at) == ("laptop", cast.alice, None, None)
    assert timezone.now() - token.created_at < timedelta(seconds=5)
    assert value != operations.create_token(cast.alice, "other", actor=cast.alice)[1]


@pytest.mark.parametrize(
    ("application", "codes"),
    [
        ("", ["blank"]),
        ("  ", ["blank"]),
        ("a\0", ["invalid"]),
        ("a\nb", ["invalid"]),
        ("\ud800", ["invalid"]),
        ("x" * 256, ["max_length"]),
    ],
)
def test_token_names_that_are_refused(cast, application, codes):
    assert problems_of(operations.create_token, cast.alice, application, actor=cast.alice) == {"application": codes}


def test_a_token_name_is_taken_once_per_user(cast):
    operations.create_token(cast.alice, "laptop", actor=cast.alice)

    assert problems_of(operations.create_token, cast.alice, "laptop", actor=cast.alice) == {"application": ["unique"]}
    operations.create_token(cast.alice, "Laptop", actor=cast.alice)
    operations.create_token(cast.bob, "laptop", actor=cast.bob)


def test_the_sixth_token_is_refused(cast):
    for number in range(5):
        operations.create_token(cast.alice, f"token {number}", actor=cast.alice)

    assert problems_of(operations.create_token, cast.alice, "sixth", actor=cast.alice) == {"": ["too_many"]}
    operations.create_token(cast.bob, "first", actor=cast.bob)
    operations.revoke_token(cast.alice.application_tokens.first(), actor=cast.alice)
    operations.create_token(cast.alice, "sixth", actor=cast.alice)


@pytest.mark.django_db(transaction=True)
def test_of_eight_tokens_made_at_the_same_moment_five_are_there(make_user):
    user = make_user("zoe")

    results = at_once(
        [lambda number=number: operations.create_token(user, f"token {number}", actor=user) for number in range(8)]
    )

    assert settled(results) == ["ValidationError"] * 3 + ["tuple"] * 5
    assert user.application_tokens.count() == 5


@pytest.mark.django_db(transaction=True)
def test_of_eight_tokens_of_one_name_made_at_the_same_moment_one_is_there(make_user):
    user = make_user("zoe")

    results = at_once([lambda: operations.create_token(user, "laptop", actor=user) for _ in range(8)])

    assert settled(results) == ["ValidationError"] * 7 + ["tuple"]


def test_a_revoked_token_is_gone(cast):
    token, _ = operations.create_token(cast.alice, "laptop", actor=cast.alice)

    operations.revoke_token(token, actor=cast.alice)

    assert not ApplicationToken.objects.exists()


# Housekeeping


def test_only_failures_that_no_longer_count_are_forgotten():
    now = timezone.now()
    for minutes in (0, 9, 11, 100):
        failed_at = now - timedelta(minutes=minutes)
        SignInFailure.objects.create(name_key="zoe", fingerprint=str(minutes), failed_at=failed_at)

    operations.forget_old_failures()

    assert sorted(SignInFailure.objects.values_list("fingerprint", flat=True)) == ["0", "9"]


def test_a_password_is_never_in_a_statement(cast):
    with connection.execute_wrapper(
        lambda execute, sql, params, many, context: forbid(PASSWORD, execute, sql, params, many, context)
    ):
        sign_up("somebody")
        operations.change_password(cast.alice, PASSWORD, actor=cast.alice)


def forbid(secret, execute, sql, params, many, context):
    assert secret not in f"{sql} {params}"
    return execute(sql, params, many, context)
