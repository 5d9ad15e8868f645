"""The cast and the factories that many tests need; a pytest plugin, loaded by conftest.py.

    def test_it(cast, make_namespace): …

cast.ada is an administrator, alice owns cast.team, bob contributes, carol views, dave is a stranger; nobody is in
cast.empty_team. All have the password of the fixture `password`. Factories build real rows, with names that count up.
`configure(**{"delete.enabled": False})` sets options for one test. `at_once([call, …])` runs calls in threads.
"""

import itertools
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.db import connections
from django.test import Client
from django.utils import timezone
from pydantic import BaseModel

from portus.accounts import backends
from portus.accounts.models import User, name_key
from portus.accounts.operations import create_token
from portus.accounts.sign_ups import sign_ups
from portus.registry import status
from portus.registry.models import Registry
from portus.registry.operations import create_registry
from portus.registry.signing import keys_folder, make_keys
from portus.repositories.models import Manifest, Repository, Tag, is_attachment
from portus.teams.models import Membership, Namespace, Role, Team, Visibility
from portus.teams.namespaces import create_personal_namespace

PASSWORD = "a password of tests"
REGISTRY_HOST = "registry.test:5000"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"

STATIC_ROOT = Path(settings.STATIC_ROOT)

_numbers = itertools.count(1)
_hash = lru_cache(make_password)  # hashing is slow on purpose; one hash serves everybody


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all at the same moment, each in a thread with a connection of its own; return results and exceptions.

    The test needs `django_db(transaction=True)`: threads see only what is committed.
    """
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            start.wait(timeout=30)
            return call()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture(scope="session", autouse=True)
def prepared_data() -> None:
    """What `portus up` prepares before a web process starts: keys, and a folder for static files."""
    make_keys(keys_folder())
    STATIC_ROOT.mkdir(exist_ok=True)


@pytest.fixture(autouse=True)
def forgotten_verdicts() -> None:
    """Memories of the process would carry over from one test to the next."""
    backends._verdicts.clear()  # noqa: SLF001
    sign_ups.clear()
    status.memory.forget()
    cache.clear()


@pytest.fixture
def password() -> str:
    return PASSWORD


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:  # the fixture of pytest-django, which puts everything back
    def set_options(**options: object) -> None:
        for key, value in options.items():
            settings.PORTUS = _with(settings.PORTUS, key.split("."), value)

    return set_options


def _with(section: BaseModel, path: list[str], value: object) -> BaseModel:
    name, *rest = path
    field = next(own for own, info in type(section).model_fields.items() if name in {own, info.alias})
    if rest:
        return section.model_copy(update={field: _with(getattr(section, field), rest, value)})
    checked = type(section).model_validate({**section.model_dump(by_alias=True), name: value})
    return section.model_copy(update={field: getattr(checked, field)})


@pytest.fixture
def make_registry(db: None) -> Callable[..., Registry]:
    def make(name: str, hostname: str, **options: Any) -> Registry:
        return create_registry(**{"name": name, "hostname": hostname, "use_ssl": False, "actor": None, **options})

    return make


@pytest.fixture
def registry(make_registry: Callable[..., Registry]) -> Registry:
    return make_registry("registry", REGISTRY_HOST)


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    def make(username: str, **fields: Any) -> User:
        defaults = {"username_key": name_key(username), "email": f"{username}@test.lan", "password": _hash(PASSWORD)}
        user = User.objects.create(username=username, **{**defaults, **fields})
        for registry in Registry.objects.all():
            create_personal_namespace(user, registry)
        return user

    return make


@pytest.fixture
def cast(registry: Registry, make_user: Callable[..., User]) -> SimpleNamespace:
    people = {name: make_user(name, admin=name == "ada") for name in ("ada", "alice", "bob", "carol", "dave")}
    team = Team.objects.create(name="team-of-tests")
    for name, role in (("alice", Role.OWNER), ("bob", Role.CONTRIBUTOR), ("carol", Role.VIEWER)):
        Membership.objects.create(team=team, user=people[name], role=role)
    return SimpleNamespace(**people, team=team, empty_team=Team.objects.create(name="nobodys-team"))


class Asker:
    """Somebody who asks the API with an application token: as_user("alice").post("/teams", {"name": "crew"})."""

    def __init__(self, client: Client, user: User) -> None:
        token = create_token(user, f"tests {user.application_tokens.count()}", actor=user)[1]
        self.client, self.headers = client, {"Portus-Auth": f"{user.username}:{token}"}

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def ask(path: str, data: object = None) -> Any:
            body = {} if data is None else {"data": data, "content_type": "application/json"}
            response = getattr(self.client, method)(f"/api/v1{path}", headers=self.headers, **body)
            if response.streaming:
                content = response.getvalue()
                response.json = lambda: json.loads(content)
            return response

        return ask


@pytest.fixture
def as_user(client: Client, cast: SimpleNamespace) -> Callable[[str], Asker]:
    return lru_cache(lambda name: Asker(client, getattr(cast, name)))


@pytest.fixture
def make_namespace(registry: Registry) -> Callable[..., Namespace]:
    def make(
        name: str = "", *, team: Team | None, visibility: Visibility = Visibility.PRIVATE, **fields: Any
    ) -> Namespace:
        fields.setdefault("registry", registry)
        name = name or f"namespace{next(_numbers)}"
        return Namespace.objects.create(name=name, team=team, visibility=visibility, **fields)

    return make


@pytest.fixture
def make_repository(db: None) -> Callable[..., Repository]:
    def make(name: str = "", *, namespace: Namespace, **fields: Any) -> Repository:
        return Repository.objects.create(name=name or f"repository{next(_numbers)}", namespace=namespace, **fields)

    return make


@pytest.fixture
def make_manifest(db: None) -> Callable[..., Manifest]:
    def make(repository: Repository, *, pushed_at: datetime | None = None, **fields: Any) -> Manifest:
        defaults: dict[str, Any] = {
            "digest": f"sha256:{next(_numbers):064x}",
            "media_type": OCI_MANIFEST,
            "size": 1000,
            "platforms": ["linux/amd64"],
            "pushed_at": pushed_at or timezone.now(),
        }
        return Manifest.objects.create(repository=repository, **{**defaults, **fields})

    return make


@pytest.fixture
def make_tag(make_manifest: Callable[..., Manifest]) -> Callable[..., Tag]:
    """Make a tag, with a manifest of its own unless one is given; the repository's counter follows."""

    def make(repository: Repository, name: str = "latest", *, manifest: Manifest | None = None, **fields: Any) -> Tag:
        author: User | None = fields.setdefault("author", None)
        fields.setdefault("author_name", author.username if author else "")
        fields.setdefault("pushed_at", timezone.now())
        tag = Tag.objects.create(
            repository=repository,
            name=name,
            manifest=manifest or make_manifest(repository, author=author, author_name=fields["author_name"]),
            attachment=is_attachment(name),
            **fields,
        )
        repository.tag_count = repository.tags.filter(attachment=False).count()
        repository.save(update_fields=["tag_count"])
        return tag

    return make
