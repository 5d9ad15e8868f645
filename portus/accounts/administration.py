"""Who is let in, who is an administrator, and who is there no longer. There is always one administrator who can act."""

from django.core.exceptions import ValidationError
from django.db import transaction

from portus.accounts.models import User
from portus.accounts.operations import lock_user, wait_for_sign_ups
from portus.activities.operations import record
from portus.teams.models import Membership, Namespace, Role, Team
from portus.teams.operations import join_global_teams, leave_global_teams


@transaction.atomic
def enable_user(user: User, *, actor: User) -> None:
    """Let somebody in again, with everything that was hers."""
    _lock(user)
    if not user.is_active:
        _set(user, is_active=True)
        record("user.enable", user, actor=actor)


@transaction.atomic
def disable_user(user: User, *, actor: User) -> None:
    """Keep somebody out: password, tokens and open sessions open nothing from the next request on.

    Raises ValidationError for the last administrator.
    """
    _lock(user)
    if user.is_active:
        _require_another_admin(user)
        _set(user, is_active=False)
        record("user.disable", user, actor=actor)


@transaction.atomic
def promote_user(user: User, *, actor: User) -> None:
    """Make somebody an administrator, who owns the global namespaces with the others."""
    _lock(user)
    if not user.admin:
        _set(user, admin=True)
        join_global_teams(user)
        record("user.promote", user, actor=actor)


@transaction.atomic
def demote_user(user: User, *, actor: User) -> None:
    """Make an administrator an ordinary user, who keeps her roles in other teams.

    Raises ValidationError for the last administrator.
    """
    _lock(user)
    if user.admin:
        _require_another_admin(user)
        _set(user, admin=False)
        leave_global_teams(user)
        record("user.demote", user, actor=actor)


@transaction.atomic
def delete_user(user: User, *, actor: User) -> None:
    """Delete an account with its tokens, memberships and empty personal namespaces; what she pushed keeps her name.

    Raises ValidationError for the last administrator, for the only owner of a team, and while there are repositories
    in her personal namespace.
    """
    _lock(user)
    _require_another_admin(user)
    _require_other_owners(user)
    own_teams = Team.objects.filter(hidden=True, memberships__user=user).exclude(namespaces__global_marker=True)
    teams = [team.pk for team in own_teams]
    _remove_namespaces(teams)
    record("user.delete", user, actor=actor, username=user.username)
    Team.objects.filter(pk__in=teams).delete()
    user.delete()


def _lock(user: User) -> None:
    """Bring a user up to date, and let nobody else change who is an administrator until this transaction ends."""
    wait_for_sign_ups()
    lock_user(user)


def _set(user: User, **fields: bool) -> None:
    for field, value in fields.items():
        setattr(user, field, value)
    user.save(update_fields=[*fields, "updated_at"])


def _require_another_admin(user: User) -> None:
    """Raise ValidationError when without this person no administrator could act; bots that could do not count."""
    acts = user.admin and user.is_active and not user.bot
    if acts and not User.objects.admins().people().exclude(pk=user.pk).exists():
        raise ValidationError(f"{user.username} is the last administrator: make somebody else one first.",
                              code="last_admin")  # fmt: skip


def _require_other_owners(user: User) -> None:
    """Raise ValidationError with the teams that nobody who can act would own without this user."""
    owned = Membership.objects.filter(user=user, role=Role.OWNER, team__hidden=False)
    # Locked, or the other owner could leave at this moment.
    teams = list(Team.objects.select_for_update().filter(pk__in=owned.values("team")).order_by("pk"))
    others = Membership.objects.filter(team__in=teams, role=Role.OWNER, user__is_active=True).exclude(user=user)
    kept = set(others.values_list("team", flat=True))
    alone = sorted(team.name for team in teams if team.pk not in kept)
    if alone:
        raise ValidationError(
            f"{user.username} is the only owner of {', '.join(alone)}: make somebody else an owner first.",
            code="sole_owner",
        )


def _remove_namespaces(teams: list[int]) -> None:
    """Delete the namespaces of these hidden teams; raise ValidationError with those that have repositories."""
    # Locked, or a push could put a repository into one at this moment.
    namespaces = list(Namespace.objects.select_for_update().filter(team__in=teams).order_by("pk"))
    full = Namespace.objects.filter(pk__in=[namespace.pk for namespace in namespaces], repositories__isnull=False)
    names = sorted(set(full.values_list("name", flat=True)))
    if names:
        raise ValidationError(
            f"There are repositories in {', '.join(names)}: delete them, or move the namespace to another team first.",
            code="not_empty",
        )
    Namespace.objects.filter(team__in=teams).delete()
