"""What happens to teams and their members."""

import copy

from django.core.exceptions import ValidationError
from django.db import transaction

from portus.accounts.models import User
from portus.activities.operations import record
from portus.fields import field_problem, insert_once, save_once
from portus.teams.models import Membership, Role, Team


@transaction.atomic
def create_team(*, name: str, description: str = "", owner: User, actor: User) -> Team:
    """Create a team with its first owner; raise ValidationError for a name that is blank or taken."""
    team = Team(name=name.strip(), description=description)
    team.full_clean(validate_unique=False)
    insert_once(
        team, Team.objects.filter(name=team.name), field_problem("name", "Name has already been taken", "unique")
    )
    Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    record("team.create", team, actor=actor, team=team.name)
    return team


@transaction.atomic
def add_member(team: Team, user: User, role: Role, *, actor: User) -> Membership:
    """Add a member; an administrator is always an owner. Raises ValidationError for a hidden team and a second time."""
    if team.hidden:
        raise ValidationError("This team has no members to manage.", code="hidden")
    membership = Membership(team=team, user=user, role=Role.OWNER if user.admin else role)
    membership.full_clean(validate_constraints=False)
    same = Membership.objects.filter(team=team, user=user)
    insert_once(membership, same, field_problem("user", f"{user.username} is a member already.", "unique"))
    record(
        "team.add_member", team, user,
        actor=actor, team=team.name, team_user=user.username, role=Role(membership.role).label,
    )  # fmt: skip
    return membership


@transaction.atomic
def update_team(team: Team, *, name: str | None = None, description: str | None = None, actor: User) -> None:
    """Set what is given and differs, all of it or nothing; raise ValidationError for a name that is wrong or taken.

    A blank name leaves the old one, as in Portus 2.4.
    """
    before = Team.objects.select_for_update().get(pk=team.pk)
    name = before.name if not (name or "").strip() else str(name).strip()
    description = before.description if description is None else description
    changed = copy.copy(before)
    changed.name, changed.description = name, description
    changed.full_clean(validate_unique=False)
    same = Team.objects.filter(name=name).exclude(pk=team.pk)
    taken = field_problem("name", "Name has already been taken", "unique")
    save_once(changed, same, taken, update_fields=["name", "description", "updated_at"])
    if description != before.description:
        record(
            "team.change_team_description", changed, changed,
            actor=actor, team=before.name, old=before.description, new=description,
        )  # fmt: skip
    if name != before.name:
        record("team.change_team_name", changed, changed, actor=actor, team=before.name, old=before.name, new=name)
    team.name, team.description, team.updated_at = changed.name, changed.description, changed.updated_at


@transaction.atomic
def change_role(membership: Membership, role: Role, *, actor: User) -> None:
    """Give a member another role. Raises ValidationError for an administrator and for the only owner."""
    if membership.user.admin and role != Role.OWNER:
        raise ValidationError("User cannot be demoted because it's a Portus admin", code="admin")
    if role != Role.OWNER:
        _require_another_owner(membership)
    old, membership.role = Role(membership.role), role
    membership.save(update_fields=["role", "updated_at"])
    record(
        "team.change_member_role", membership.team, membership.user,
        actor=actor, team=membership.team.name, team_user=membership.user.username,
        old_role=old.label, new_role=Role(role).label, role=Role(role).label,
    )  # fmt: skip


@transaction.atomic
def remove_member(membership: Membership, *, actor: User) -> None:
    """Take somebody out of a team; whoever leaves is her own actor. Raises ValidationError for the only owner."""
    _require_another_owner(membership)
    record(
        "team.remove_member", membership.team, membership.user,
        actor=actor, team=membership.team.name, team_user=membership.user.username, role=Role(membership.role).label,
    )  # fmt: skip
    membership.delete()


def _require_another_owner(membership: Membership) -> None:
    """Raise ValidationError when without this owner nobody who can act would own the team; a disabled owner cannot."""
    team = Team.objects.select_for_update().get(pk=membership.team_id)  # two owners could else leave at once
    owners = team.memberships.filter(role=Role.OWNER)
    if membership.role == Role.OWNER and not owners.filter(user__is_active=True).exclude(pk=membership.pk).exists():
        raise ValidationError("Cannot remove the only owner of the team", code="only_owner")


def join_global_teams(admin: User) -> None:
    """Make an administrator an owner of the teams that have the global namespaces."""
    for team in Team.objects.filter(namespaces__global_marker=True).distinct():
        Membership.objects.update_or_create(team=team, user=admin, defaults={"role": Role.OWNER})


def leave_global_teams(user: User) -> None:
    """Take somebody who is no administrator any more out of the teams that have the global namespaces."""
    Membership.objects.filter(user=user, team__namespaces__global_marker=True).delete()
