"""Every operation of the document, asked what its author did not think of, by somebody and by nobody.

Each answer is one that the document announces: its status, its content type, its shape, and no error of ours; and
without the credential it is refused. Nothing here speaks to a network, and each request is undone.
"""

import re
import socket
from types import SimpleNamespace

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from portus import documentation
from portus.accounts.models import ApplicationToken, User
from portus.accounts.operations import create_token
from portus.api import api
from portus.registry.models import EventState, Registry, RegistryEvent
from portus.repositories.models import Repository, Tag
from portus.teams.models import Membership, Namespace, Team, Visibility

pytestmark = pytest.mark.django_db

EXAMPLES = 8  # of each operation for each asker, half of them with mistakes
HABITS_OF_2_4 = [
    checks.unsupported_method,  # a wrong method is 404, not 405
    checks.negative_data_rejection,  # unknown parameters are ignored, and values are coerced: "yes" is true
]
BEYOND_A_SCHEMA = [
    checks.positive_data_acceptance,  # rules refuse what has the right shape: a name is taken
    checks.use_after_free,  # each request is undone
    checks.ensure_resource_availability,
]
# What the numbers in paths count, by what stands before them.
ROWS = {
    "users": User, "application_tokens": ApplicationToken, "teams": Team, "members": Membership,
    "namespaces": Namespace, "registries": Registry, "registry_events": RegistryEvent, "repositories": Repository,
    "tags": Tag,
}  # fmt: skip
PARENTS = {"teams": "team_id", "repositories": "repository_id", "users": "user_id"}


@pytest.fixture
def no_network(monkeypatch):
    """A registry that is made up here has no address."""

    def nowhere(*arguments, **options):
        raise socket.gaierror("there is no network")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)


@pytest.fixture
def one_connection():
    """A request ends without closing the connection of the test, which a transaction is open on."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def world(cast, registry, make_namespace, make_repository, make_tag):
    for visibility in Visibility:
        namespace = make_namespace(team=cast.team, visibility=visibility)
        make_tag(make_repository(namespace=namespace), author=cast.bob)
    for number, state in enumerate(EventState):
        RegistryEvent.objects.create(key=str(number), registry=registry, trusted=True, data="{}", state=state)
    return cast


def credential(world: SimpleNamespace, who: str) -> dict[str, str]:
    if who == "nobody":
        return {}
    user = getattr(world, who)
    return {"Portus-Auth": f"{who}:{create_token(user, 'tests', actor=user)[1]}"}


@pytest.mark.parametrize("who", ["nobody", "alice", "ada"])
def test_every_answer_is_one_that_the_document_announces(no_network, one_connection, world, who):
    headers = credential(world, who)
    problems, asked = [], 0

    for operation in described().get_all_operations():
        asked += 1
        try:
            ask(operation.ok(), headers)
        except (Exception, BaseExceptionGroup) as error:
            problems.append(f"{operation.ok().label}: {error}")

    assert asked > 40
    assert "\n\n".join(problems) == ""


def described():
    config = SchemathesisConfig()
    config.projects.default.generation.with_security_parameters = False
    schema = schemathesis.openapi.from_dict(documentation.document(api, "http://testserver"), config=config)
    schema.app = WSGIHandler()
    return schema


def existing(path):
    """Parameters of a path that lead somewhere: those of the rows that were made last."""
    steps = re.findall(r"([a-z_]+)/\{([a-z_]+)\}", path)
    if not steps:
        return []
    *outer, (place, name) = steps
    rows = ROWS[place].objects.order_by("-pk")[:5]
    return [{name: row.pk, **{parent: getattr(row, PARENTS[above]) for above, parent in outer}} for row in rows]


def ask(operation, headers):
    excluded = [*HABITS_OF_2_4, *BEYOND_A_SCHEMA]
    if operation.path == "/api/v1/health":
        excluded.append(not_a_server_error)  # there, 503 is an answer
    kinds = [
        operation.as_strategy(generation_mode=mode, path_parameters=parameters)
        for mode in schemathesis.GenerationMode
        for parameters in (None, *existing(operation.path))
    ]

    @hypothesis_settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=some.one_of(kinds))
    def answers(case):
        with transaction.atomic():
            case.call_and_validate(headers=headers, excluded_checks=excluded)
            transaction.set_rollback(True)

    answers()
