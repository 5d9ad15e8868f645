"""Teams and their members over the API."""

from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema, Status
from pydantic import BaseModel, Field

from portus import lists, policy
from portus.accounts.authentication import SIGNED_IN, asker
from portus.accounts.entities import UserEntity, member_user_entity, users_with_details
from portus.accounts.models import User
from portus.lists import ListParameters, as_time
from portus.parameters import Text
from portus.teams import operations
from portus.teams.entities import NamespaceEntity, namespace_entity, namespaces_with_details
from portus.teams.models import Membership, Role, Team

router = Router(tags=["teams"], auth=SIGNED_IN)

ROLES = {role.label: role for role in Role}


class TeamEntity(Schema):
    id: int = Field(description="Number of the team.")
    name: str = Field(description="Its name, which no other team has.")
    created_at: str = Field(description="When it was created.")
    updated_at: str = Field(description="When it was last changed.")
    description: str | None = Field(description="What it is for, in Markdown.")
    hidden: bool = Field(description="Whether it exists only to own a personal or the global namespace.")


class MemberEntity(Schema):
    id: int = Field(description="Number of the membership.")
    team_id: int = Field(description="Number of the team.")
    user_id: int = Field(description="Number of the user.")
    created_at: str = Field(description="When the user became a member.")
    updated_at: str = Field(description="When the role was last changed.")
    role: str = Field(description="viewer, contributor or owner.")
    display_name: str = Field(description="The name under which the user is shown.")


class NewTeam(BaseModel):
    name: Text = Field(description="A name that no other team has.")
    description: Text = Field("", description="What the team is for, in Markdown.")
    owner_id: int | None = Field(None, description="Number of the user who owns it; for administrators.")


class TeamChanges(BaseModel):
    name: Text | None = Field(None, description="A new name; a blank one changes nothing.")
    description: Text | None = Field(None, description="A new description.")


class TeamUpdate(BaseModel):
    team: TeamChanges = Field(description="What changes; the rest stays.")


class NewMember(BaseModel):
    user: Text = Field(description="User name of the new member.")
    role: Text = Field(description="viewer, contributor or owner.")


class NewRole(BaseModel):
    role: Text = Field(description="viewer, contributor or owner.")


def team_entity(team: Team) -> dict[str, Any]:
    return {
        "id": team.pk,
        "name": team.name,
        "created_at": as_time(team.created_at),
        "updated_at": as_time(team.updated_at),
        "description": team.description or None,
        "hidden": team.hidden,
    }


def member_entity(membership: Membership) -> dict[str, Any]:
    return {
        "id": membership.pk,
        "team_id": membership.team_id,
        "user_id": membership.user_id,
        "created_at": as_time(membership.created_at),
        "updated_at": as_time(membership.updated_at),
        "role": Role(membership.role).label,
        "display_name": membership.user.shown_name,
    }


@router.get("/teams", response=list[TeamEntity], summary="List the teams that you may see")
def list_teams(request: HttpRequest, parameters: Query[ListParameters]) -> HttpResponseBase:
    teams = policy.visible_teams(asker(request))
    return lists.answer(request, teams, team_entity, parameters, sortable={"name", "created_at", "updated_at"})


@router.post("/teams", response={201: TeamEntity}, summary="Create a team")
def create_team(request: HttpRequest, data: NewTeam) -> Status[dict[str, Any]]:
    user = asker(request)
    policy.require(policy.can_create_team(user))
    owner = user
    if data.owner_id is not None:
        policy.require(user.admin)
        owner = get_object_or_404(User, pk=data.owner_id)
    team = operations.create_team(name=data.name, description=data.description, owner=owner, actor=user)
    return Status(201, team_entity(team))


@router.get("/teams/{int:id}", response=TeamEntity, summary="Show a team")
def show_team(request: HttpRequest, id: int) -> dict[str, Any]:  # noqa: A002 - the parameter's name in 2.4
    return team_entity(open_team(request, id))


@router.put("/teams/{int:id}", response=TeamEntity, summary="Rename or describe a team")
def update_team(request: HttpRequest, id: int, data: TeamUpdate) -> dict[str, Any]:  # noqa: A002
    user, team = asker(request), get_object_or_404(Team, pk=id)
    policy.require(policy.can_update_team(user, team))
    operations.update_team(team, **data.team.model_dump(), actor=user)
    return team_entity(team)


@router.get("/teams/{int:id}/namespaces", response=list[NamespaceEntity], summary="List the namespaces of a team")
def list_team_namespaces(request: HttpRequest, id: int, parameters: Query[ListParameters]) -> HttpResponseBase:  # noqa: A002
    namespaces = namespaces_with_details(open_team(request, id).namespaces.all())
    return lists.answer(request, namespaces, namespace_entity, parameters, sortable={"name", "created_at"})


# Members


@router.get("/teams/{int:id}/members", response=list[UserEntity], summary="List the users who are members")
def list_members(request: HttpRequest, id: int, parameters: Query[ListParameters]) -> HttpResponseBase:  # noqa: A002
    team = open_team(request, id)
    users = users_with_details(User.objects.filter(memberships__team=team))
    entity = partial(member_user_entity, asker=asker(request))
    return lists.answer(request, users, entity, parameters, sortable={"username", "created_at"})


@router.get("/teams/{int:id}/memberships", response=list[MemberEntity], summary="List the memberships with their roles")
def list_memberships(request: HttpRequest, id: int, parameters: Query[ListParameters]) -> HttpResponseBase:  # noqa: A002
    memberships = Membership.objects.filter(team=open_team(request, id)).select_related("user")
    return lists.answer(request, memberships, member_entity, parameters, sortable={"created_at", "role"})


@router.post("/teams/{int:id}/members", response={201: MemberEntity}, summary="Add a member")
def add_member(request: HttpRequest, id: int, data: NewMember) -> Status[dict[str, Any]]:  # noqa: A002
    user, team = asker(request), get_object_or_404(Team.objects.not_hidden(), pk=id)
    # Before the name is looked up: whether somebody has it is nothing for strangers.
    policy.require(policy.can_manage_members(user, team))
    member = User.objects.named(data.user).first()
    if member is None:
        raise Http404
    return Status(201, member_entity(operations.add_member(team, member, role_of(data.role), actor=user)))


@router.put("/teams/{int:id}/members/{int:member_id}", response=MemberEntity, summary="Change a member's role")
def change_role(request: HttpRequest, id: int, member_id: int, data: NewRole) -> dict[str, Any]:  # noqa: A002
    user, membership = asker(request), find_membership(id, member_id)
    policy.require(policy.can_manage_members(user, membership.team))
    operations.change_role(membership, role_of(data.role), actor=user)
    return member_entity(membership)


@router.delete("/teams/{int:id}/members/{int:member_id}", response={204: None}, summary="Remove a member, or leave")
def remove_member(request: HttpRequest, id: int, member_id: int) -> HttpResponse:  # noqa: A002
    user, membership = asker(request), find_membership(id, member_id)
    policy.require(policy.can_remove_member(user, membership))
    operations.remove_member(membership, actor=user)
    return HttpResponse(status=204)


def open_team(request: HttpRequest, pk: int) -> Team:
    """Return a team that the asker may look into; hidden ones too, as in Portus 2.4, for their members."""
    team = get_object_or_404(Team, pk=pk)
    if not policy.can_read_team(asker(request), team):
        raise PermissionDenied
    return team


def find_membership(team_id: int, pk: int) -> Membership:
    return get_object_or_404(Membership.objects.select_related("team", "user"), pk=pk, team_id=team_id)


def role_of(name: str) -> Role:
    """Return the role of this name; 422 for another word, which was a 500 in Portus 2.4."""
    if name not in ROLES:
        raise ValidationError({"role": ValidationError("is not included in the list", code="choice")})
    return ROLES[name]
