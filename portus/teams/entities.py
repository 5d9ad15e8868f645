"""Namespaces as the API shows them; teams and repositories name them too."""

from typing import Any

from django.db.models import QuerySet
from ninja import Schema
from pydantic import Field

from portus.lists import as_time
from portus.teams.models import Namespace, Visibility


class TeamOfNamespace(Schema):
    id: int = Field(description="Number of the team.")
    name: str = Field(description="Its name.")
    hidden: bool = Field(description="Whether it exists only to own this namespace.")


class NamespaceEntity(Schema):
    id: int = Field(description="Number of the namespace.")
    name: str = Field(description="Its name; that of the global namespace is the host name of the registry.")
    created_at: str = Field(description="When it was created.")
    updated_at: str = Field(description="When it was last changed.")
    description: str | None = Field(description="What it is for, in Markdown.")
    team: TeamOfNamespace | None = Field(description="The team that has it; none while nobody has assigned it.")
    visibility: str = Field(description="private, protected or public.")
    is_global: bool = Field(alias="global", description="Whether its repositories have no prefix.")


def namespaces_with_details(namespaces: QuerySet[Namespace]) -> QuerySet[Namespace]:
    """Bring along what `namespace_entity` reads."""
    return namespaces.select_related("team", "registry")


def namespace_entity(namespace: Namespace) -> dict[str, Any]:
    team = namespace.team
    return {
        "id": namespace.pk,
        "name": namespace.clean_name,
        "created_at": as_time(namespace.created_at),
        "updated_at": as_time(namespace.updated_at),
        "description": namespace.description or None,
        "team": {"id": team.pk, "name": team.name, "hidden": team.hidden} if team else None,
        "visibility": Visibility(namespace.visibility).label,
        "global": namespace.is_global,
    }
