"""Who is let in and who is an administrator, when several decide about it at the same moment."""

import pytest
from django.core.exceptions import ValidationError

from portus.accounts import administration
from portus.accounts.models import User
from portus.accounts.operations import create_token, update_user
from portus.activities.models import Activity
from portus.registry.operations import create_registry
from portus.repositories.models import Repository
from portus.teams.models import Membership, Namespace, Role, Team
from portus.teams.operations import remove_member
from portus.testing import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def refused(results):
    """How many of the calls were refused by a rule; nothing else may go wrong."""
    assert all(result is None or isinstance(result, ValidationError) for result in results), results
    return sum(result is not None for result in results)


@pytest.fixture
def admins(cast, make_user):
    """Three more besides Ada."""
    return [cast.ada, *(make_user(name, admin=True) for name in ("eva", "ida", "uta"))]


@pytest.mark.parametrize("verb", ["disable_user", "demote_user", "delete_user"])
def test_administrators_who_remove_each_other_leave_one(admins, verb):
    remove = getattr(administration, verb)
    pairs = zip(admins, admins[1:] + admins[:1], strict=True)

    results = at_once([lambda user=user, actor=actor: remove(user, actor=actor) for actor, user in pairs])

    assert refused(results) == 1
    assert User.objects.admins().count() == 1


def test_owners_who_leave_while_the_other_is_deleted_leave_one(cast, make_user):
    other = Membership.objects.create(team=cast.team, user=make_user("other"), role=Role.OWNER)

    results = at_once([
        lambda: administration.delete_user(cast.alice, actor=cast.ada),
        lambda: remove_member(other, actor=cast.ada),
    ])  # fmt: skip

    assert refused(results) == 1
    assert cast.team.memberships.filter(role=Role.OWNER).count() == 1


def test_whoever_is_deleted_twice_is_deleted_once(cast):
    results = at_once([lambda: administration.delete_user(User.objects.get(pk=cast.dave.pk), actor=cast.ada)] * 3)

    assert sum(result is None for result in results) == 1
    assert all(isinstance(result, ValidationError | User.DoesNotExist) for result in results if result)
    assert Activity.objects.filter(key="user.delete").count() == 1


def test_nobody_gets_a_token_or_a_flag_after_she_is_gone(cast):
    gone = User.objects.get(pk=cast.dave.pk)
    administration.delete_user(cast.dave, actor=cast.ada)

    for late in (
        lambda: create_token(gone, "ci", actor=cast.ada),
        lambda: administration.promote_user(gone, actor=cast.ada),
        lambda: administration.delete_user(gone, actor=cast.ada),
        lambda: update_user(gone, username="david", actor=cast.ada),
    ):
        with pytest.raises(ValidationError) as problem:
            late()
        assert problem.value.code == "gone"


def test_who_becomes_administrator_while_a_registry_is_made_owns_its_global_namespace(cast):
    at_once([
        lambda: administration.promote_user(cast.dave, actor=cast.ada),
        lambda: create_registry(name="other", hostname="other.test", use_ssl=False, actor=cast.ada) and None,
    ])  # fmt: skip

    for namespace in Namespace.objects.global_ones():
        assert namespace.team.memberships.filter(user=cast.dave, role=Role.OWNER).exists()


def test_a_push_and_a_deletion_at_the_same_moment_leave_both_or_neither(cast):
    namespace = cast.dave.personal_namespaces.get()

    deletion, push = at_once([
        lambda: administration.delete_user(cast.dave, actor=cast.ada),
        lambda: Repository.objects.create(namespace=namespace, name="busybox"),
    ])  # fmt: skip

    there = User.objects.filter(pk=cast.dave.pk).exists()
    assert isinstance(deletion, ValidationError) is there
    assert isinstance(push, Repository) is there
    assert Namespace.objects.filter(pk=namespace.pk).exists() is there


def test_a_user_with_namespaces_in_several_registries_takes_all_of_them_along(cast, make_registry):
    make_registry("other", "other.test")
    assert Namespace.objects.filter(personal_owner=cast.dave).count() == 2

    administration.delete_user(cast.dave, actor=cast.ada)

    assert not Namespace.objects.filter(name__startswith="dave").exists()
    assert not Team.objects.filter(name__startswith="dave").exists()
    assert Namespace.objects.global_ones().count() == 2
