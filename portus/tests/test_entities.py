"""What the API answers is what its description says: entities are written by hand, and no schema stands in between."""

import pytest

from portus.accounts.api import TokenEntity, token_entity
from portus.accounts.entities import UserEntity, member_user_entity, user_entity, users_with_details
from portus.accounts.models import User
from portus.accounts.operations import create_token
from portus.registry.api import EventEntity, RegistryEntity, event_entity, registry_entity
from portus.registry.models import RegistryEvent
from portus.repositories.entities import RepositoryEntity, repository_entity
from portus.teams.api import MemberEntity, TeamEntity, member_entity, team_entity
from portus.teams.entities import NamespaceEntity, namespace_entity

pytestmark = pytest.mark.django_db


@pytest.fixture
def answers(cast, registry, make_namespace, make_repository):
    """An answer of each kind, with its description."""
    namespace = make_namespace(team=cast.team)
    alice = users_with_details(User.objects.filter(pk=cast.alice.pk)).get()
    return {
        "user": (UserEntity, user_entity(alice)),
        "member's user": (UserEntity, member_user_entity(alice, cast.bob)),
        "token": (TokenEntity, token_entity(create_token(alice, "tests", actor=alice)[0])),
        "team": (TeamEntity, team_entity(cast.team)),
        "member": (MemberEntity, member_entity(cast.team.memberships.first())),
        "namespace": (NamespaceEntity, namespace_entity(namespace)),
        "namespace of nobody": (NamespaceEntity, namespace_entity(make_namespace(team=None))),
        "repository": (RepositoryEntity, repository_entity(make_repository(namespace=namespace))),
        "registry": (RegistryEntity, registry_entity(registry)),
        "event": (EventEntity, event_entity(RegistryEvent.objects.create(key="1", registry=registry, trusted=True))),
    }


KINDS = [
    "user", "member's user", "token", "team", "member", "namespace", "namespace of nobody", "repository", "registry",
    "event",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_has_what_its_description_says_and_nothing_else(answers, kind):
    schema, answer = answers[kind]

    described = schema.model_validate(answer).model_dump(by_alias=True)

    # Keys of the parts within too, in the order in which they are described.
    assert list(described) == list(answer)
    assert described == answer
