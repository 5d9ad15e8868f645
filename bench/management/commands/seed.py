"""Fills an empty database with a data set, by bulk inserts."""

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError
from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.utils import timezone

from bench import data
from bench.data import DataSet
from portus.accounts.models import ApplicationToken, User, name_key, token_digest
from portus.registry.models import Registry
from portus.registry.operations import create_registry
from portus.repositories.models import Manifest, Repository, Tag
from portus.teams.models import Membership, Namespace, Role, Team, Visibility

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TAGS_OF_A_MANIFEST = ("1.{}", "v1.{}", "1.{}-slim", "build-{}")
SHARE_OF_FIRST = 20  # a twentieth of all tags is in the first repository, so that there is one with deep pages
AT_ONCE = 10_000  # rows

NOW = timezone.now()

_Row = TypeVar("_Row", bound=models.Model)
_Any = TypeVar("_Any")


class Command(BaseCommand):
    help = "Fill an empty database with a data set of the benchmark."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("size", choices=data.DATA_SETS)
        parser.add_argument("--no-tags", action="store_true", help="leave out repositories, manifests and tags")

    def handle(self, *, size: str, no_tags: bool, **_options: Any) -> None:
        if User.objects.exists() or Registry.objects.exists():
            raise CommandError("This database is not empty.")
        chosen = data.DATA_SETS[size]
        if connection.vendor == "sqlite":
            connection.cursor().execute(
                "PRAGMA cache_size = -262144"
            )  # KiB; the indexes do not fit into the usual 2 MB
        with transaction.atomic():
            registry = create_registry(
                name="registry",
                hostname=data.REGISTRY_HOST,
                use_ssl=False,
                notification_secret=data.NOTIFICATION_SECRET,
                actor=None,
            )
            users = seed_users(chosen)
            seed_personal_namespaces(registry, users)
            namespaces = seed_namespaces(chosen, registry, users)
            if not no_tags:
                seed_tags(seed_repositories(chosen, namespaces), users)


def seed_users(chosen: DataSet) -> list[User]:
    """Make people with an application token each; the first administers. They share a password, hashed once."""
    password = make_password(data.PASSWORD)
    names = [data.user_name(number) for number in range(chosen.users)]
    users = insert(
        User(username=name, username_key=name_key(name), email=f"{name}@test.lan", password=password, admin=number == 0)
        for number, name in enumerate(names)
    )
    insert(
        ApplicationToken(user=user, application="benchmark", digest=token_digest(data.application_token(number)))
        for number, user in enumerate(users)
    )
    return users


def seed_personal_namespaces(registry: Registry, users: list[User]) -> None:
    teams = insert(Team(name=user.username, hidden=True) for user in users)
    owned = list(zip(teams, users, strict=True))
    insert(Membership(team=team, user=user, role=Role.OWNER) for team, user in owned)
    insert(Namespace(name=user.username, registry=registry, team=team, personal_owner=user) for team, user in owned)


def seed_namespaces(chosen: DataSet, registry: Registry, users: list[User]) -> list[Namespace]:
    teams = insert(Team(name=data.namespace_name(number)) for number in range(chosen.namespaces))
    insert(
        Membership(team=team, user=users[chosen.member(number, position)], role=role_at(position))
        for number, team in enumerate(teams)
        for position in range(data.MEMBERS)
    )
    return insert(
        Namespace(
            name=team.name,
            registry=registry,
            team=team,
            visibility=Visibility.PUBLIC if data.is_public(number) else Visibility.PRIVATE,
        )
        for number, team in enumerate(teams)
    )


def role_at(position: int) -> Role:
    if position == 0:
        return Role.OWNER
    return Role.CONTRIBUTOR if position <= data.CONTRIBUTORS else Role.VIEWER


def seed_repositories(chosen: DataSet, namespaces: list[Namespace]) -> list[Repository]:
    """Make repositories whose counters already say how many tags they will have."""
    manifests = chosen.tags // len(TAGS_OF_A_MANIFEST)
    first = manifests // SHARE_OF_FIRST
    others = len(namespaces) * data.REPOSITORIES - 1
    each, left = divmod(manifests - first, others)
    counts = [first, *(each + (number < left) for number in range(others))]
    return insert(
        Repository(
            namespace=namespaces[number // data.REPOSITORIES],
            name=data.repository_name(number % data.REPOSITORIES),
            tag_count=count * len(TAGS_OF_A_MANIFEST),
        )
        for number, count in enumerate(counts)
    )


def seed_tags(repositories: list[Repository], users: list[User]) -> None:
    """Make manifests with a few tags each. These are most of the rows, and for `bulk_create` too many by far."""
    manifests = [
        (repository.pk, number, users[(repository.pk + number) % len(users)])
        for repository in repositories
        for number in range(repository.tag_count // len(TAGS_OF_A_MANIFEST))
    ]
    pushed = list(map(minutes_ago, range(1 + max(number for _, number, _ in manifests))))
    insert_plain(Manifest, (manifest(key, *one, pushed[one[1]]) for key, one in enumerate(manifests, 1)))
    insert_plain(
        Tag,
        (
            tag(pattern.format(number), key, repository, author, pushed[number])
            for key, (repository, number, author) in enumerate(manifests, 1)
            for pattern in TAGS_OF_A_MANIFEST
        ),
    )


def manifest(key: int, repository: int, number: int, author: User, pushed_at: object) -> dict[str, Any]:
    return {
        "id": key,
        "repository_id": repository,
        "digest": data.digest(repository, number),
        "media_type": OCI_MANIFEST,
        "size": 1_000_000 + number,
        "platforms": '["linux/amd64"]',
        "author_id": author.pk,
        "author_name": author.username,
        "pushed_at": pushed_at,
    }


def tag(name: str, manifest: int, repository: int, author: User, pushed_at: object) -> dict[str, Any]:
    return {
        "repository_id": repository,
        "name": name,
        "manifest_id": manifest,
        "author_id": author.pk,
        "author_name": author.username,
        "pushed_at": pushed_at,
        "created_at": pushed_at,
        "updated_at": pushed_at,
    }


def minutes_ago(minutes: int) -> object:
    return connection.ops.adapt_datetimefield_value(NOW - timedelta(minutes=minutes))


def insert_plain(model: type[models.Model], rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows of columns as the database takes them; a column that is left out has the default of its field."""
    fields = {field.attname: field for field in model._meta.concrete_fields}  # noqa: SLF001 - Django documents it
    with connection.cursor() as cursor:
        for batch in batches(rows):
            missing = fields.keys() - batch[0].keys() - {"id"}
            defaults = {name: fields[name].get_db_prep_save(fields[name].get_default(), connection) for name in missing}
            columns = [str(fields[name].column) for name in (*batch[0], *defaults)]
            cursor.executemany(
                f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "  # noqa: SLF001
                f"VALUES ({', '.join(['%s'] * len(columns))})",
                [(*row.values(), *defaults.values()) for row in batch],
            )
        for statement in connection.ops.sequence_reset_sql(no_style(), [model]):
            cursor.execute(statement)


def insert(rows: Iterable[_Row]) -> list[_Row]:
    """Insert rows and return them with their keys."""
    return [
        row
        for batch in batches(rows)
        for row in type(batch[0])._default_manager.bulk_create(batch)  # noqa: SLF001 - Django's name for it
    ]


def batches(rows: Iterable[_Any]) -> Iterator[list[_Any]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, AT_ONCE)):
        yield batch
