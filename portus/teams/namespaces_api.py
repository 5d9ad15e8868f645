"""Namespaces over the API."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import BaseModel, Field

from portus import lists, policy
from portus.accounts.authentication import SIGNED_IN, asker
from portus.accounts.models import User
from portus.lists import ListParameters
from portus.parameters import Text
from portus.problems import reasons
from portus.registry.models import Registry
from portus.repositories.entities import RepositoryEntity, repositories_with_details, repository_entity
from portus.teams import namespaces
from portus.teams.entities import NamespaceEntity, namespace_entity, namespaces_with_details
from portus.teams.models import Namespace, Team, Visibility

router = Router(tags=["namespaces"], auth=SIGNED_IN, by_alias=True)  # one field is called `global`

VISIBILITIES = {visibility.label: visibility for visibility in Visibility}


class NewNamespace(BaseModel):
    name: Text = Field(description="Lower-case letters, digits, and single dots, dashes or underscores between them.")
    team: Text = Field(description="Name of the team that gets it.")
    description: Text = Field("", description="What it is for, in Markdown.")
    registry_id: int | None = Field(None, description="Number of the registry; the first one if none is given.")


class NamespaceChanges(BaseModel):
    name: Text | None = Field(
        None, description="A new name, while there are no repositories; a blank one does nothing."
    )
    description: Text | None = Field(None, description="A new description.")
    team: Text | None = Field(None, description="Name of the team that gets it; you must own that one too.")
    visibility: Text | None = Field(None, description="private, protected or public.")


class NamespaceUpdate(BaseModel):
    namespace: NamespaceChanges = Field(description="What changes; the rest stays.")


class NameToCheck(BaseModel):
    name: Text = Field(description="The name that somebody would like.")


class Validity(Schema):
    messages: dict[str, list[str]] = Field(description="What is wrong, by field.")
    valid: bool = Field(description="Whether nothing is.")


@router.get("/namespaces", response=list[NamespaceEntity], summary="List the namespaces that you may see")
def list_namespaces(request: HttpRequest, parameters: Query[ListParameters]) -> HttpResponseBase:
    found = namespaces_with_details(policy.visible_namespaces(asker(request)))
    return lists.answer(
        request, found, namespace_entity, parameters, sortable={"name", "created_at", "updated_at", "visibility"}
    )


@router.post("/namespaces", response={201: NamespaceEntity}, summary="Create a private namespace of a team")
def create_namespace(request: HttpRequest, data: NewNamespace) -> Status[dict[str, Any]]:
    user, team = asker(request), get_object_or_404(Team.objects.not_hidden(), name=data.team)
    policy.require(policy.can_create_namespace(policy.standing_in_team(user, team)))
    namespace = namespaces.create_namespace(
        name=data.name, team=team, registry=find_registry(data.registry_id), description=data.description, actor=user
    )
    return Status(201, namespace_entity(namespace))


@router.get("/namespaces/validate", response=Validity, summary="Tell whether a name could be given to a namespace")
def validate_name(request: HttpRequest, data: Query[NameToCheck]) -> dict[str, Any]:
    problems = namespaces.name_problems(data.name, find_registry(None))
    return {"messages": {"name": reasons(problems)} if problems else {}, "valid": not problems}


@router.get("/namespaces/{id}", response=NamespaceEntity, summary="Show a namespace")
def show_namespace(request: HttpRequest, id: int) -> dict[str, Any]:  # noqa: A002 - the parameter's name in 2.4
    return namespace_entity(open_namespace(request, id))


@router.get("/namespaces/{id}/repositories", response=list[RepositoryEntity], summary="List a namespace's repositories")
def list_repositories(request: HttpRequest, id: int, parameters: Query[ListParameters]) -> HttpResponseBase:  # noqa: A002
    found = repositories_with_details(open_namespace(request, id).repositories.all())
    return lists.answer(request, found, repository_entity, parameters, sortable={"name", "created_at", "updated_at"})


@router.put("/namespaces/{id}", response=NamespaceEntity, summary="Describe, rename, move or open a namespace")
def update_namespace(request: HttpRequest, id: int, data: NamespaceUpdate) -> dict[str, Any]:  # noqa: A002
    """All that is asked happens, or nothing does."""
    user, namespace = asker(request), get_object_or_404(namespaces_with_details(Namespace.objects.all()), pk=id)
    changes, standing = data.namespace, policy.standing(user, namespace)
    policy.require(policy.can_update_namespace(standing))
    team = wanted_team(user, namespace, changes.team)
    if team:
        policy.require(policy.can_change_team(standing) and policy.can_give_to(user, team))
    visibility = wanted_visibility(namespace, changes.visibility)
    if visibility is not None:
        policy.require(policy.can_change_visibility(standing))
    with transaction.atomic():
        namespaces.update_namespace(namespace, name=changes.name, description=changes.description, actor=user)
        if team:
            namespaces.move_namespace(namespace, team, actor=user)
        if visibility is not None:
            namespaces.change_visibility(namespace, visibility, actor=user)
    return namespace_entity(namespace)


def open_namespace(request: HttpRequest, pk: int) -> Namespace:
    namespace = get_object_or_404(namespaces_with_details(Namespace.objects.all()), pk=pk)
    policy.require(policy.can_show(policy.standing(asker(request), namespace)))
    return namespace


def wanted_team(user: User, namespace: Namespace, name: str | None) -> Team | None:
    """Return the team that is to get the namespace, None when it stays; what she cannot see is unknown to her."""
    if name is None or (namespace.team is not None and namespace.team.name == name):
        return None
    team = policy.visible_teams(user).filter(name=name).first()
    if team is None:
        raise HttpError(404, f"unknown team '{name}'")
    return team


def wanted_visibility(namespace: Namespace, name: str | None) -> Visibility | None:
    """Return the visibility that it is to have, None when it stays as it is."""
    if name is None:
        return None
    if name not in VISIBILITIES:
        raise HttpError(422, f"unknown visibility kind '{name}'")
    return None if namespace.visibility == VISIBILITIES[name] else VISIBILITIES[name]


def find_registry(pk: int | None) -> Registry:
    registries = Registry.objects.order_by("pk")
    registry = (registries if pk is None else registries.filter(pk=pk)).first()
    if registry is None and pk is not None:
        raise Http404
    if registry is None:
        raise ValidationError({"registry": ValidationError("There is no registry yet.", code="no_registry")})
    return registry
