"""Repositories and tags as the API shows them."""

from typing import Any

from django.db.models import QuerySet
from ninja import Schema
from pydantic import Field

from portus.lists import as_time
from portus.repositories.models import Repository


class NamespaceOfRepository(Schema):
    id: int = Field(description="Number of the namespace.")
    name: str = Field(description="Its name.")


class RepositoryEntity(Schema):
    id: int = Field(description="Number of the repository.")
    name: str = Field(description="Its name inside the namespace.")
    full_name: str = Field(description="Its name in the registry.")
    created_at: str = Field(description="When it was first seen.")
    updated_at: str = Field(description="When something in it last changed.")
    namespace: NamespaceOfRepository = Field(description="The namespace that it is in.")
    registry_hostname: str = Field(description="The host name to pull from.")
    tags_count: int = Field(description="How many tags it has.")


def repositories_with_details(repositories: QuerySet[Repository]) -> QuerySet[Repository]:
    """Bring along what `repository_entity` reads."""
    return repositories.select_related("namespace__registry")


def repository_entity(repository: Repository) -> dict[str, Any]:
    namespace = repository.namespace
    return {
        "id": repository.pk,
        "name": repository.name,
        "full_name": repository.full_name,
        "created_at": as_time(repository.created_at),
        "updated_at": as_time(repository.updated_at),
        "namespace": {"id": namespace.pk, "name": namespace.name},
        "registry_hostname": namespace.registry.shown_hostname,
        "tags_count": repository.tag_count,
    }
