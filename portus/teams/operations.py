"""What happens to teams and their members."""

from django.core.exceptions import ValidationError
from django.db import transaction

from portus.accounts.models import User
from portus.activities.operations import record
from portus.fields import field_problem, insert_once
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


def join_global_teams(admin: User) -> None:
    """Make an administrator an owner of the teams that have the global namespaces."""
    for team in Team.objects.filter(namespaces__global_marker=True).distinct():
        Membership.objects.update_or_create(team=team, user=admin, defaults={"role": Role.OWNER})
