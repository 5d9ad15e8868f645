"""What happens to repositories, manifests and tags: the writes, with their activities.

The registry was asked before, outside the transaction; `revision` says which state of the row was current then.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from portus.accounts.models import User
from portus.activities.operations import record
from portus.registry.manifests import ManifestFacts
from portus.registry.models import Registry
from portus.repositories.models import IndexEntry, Manifest, Repository, Tag, is_attachment
from portus.teams.models import Namespace, Visibility

SOMEONE = "someone"  # an actor whom we do not know; without any name it would have been Portus itself


class Stale(Exception):
    """The repository was changed since the registry was asked: ask again."""


@dataclass(frozen=True)
class Pushed:
    """What the registry has: the manifest that was pushed, and the one at which its tag points by now."""

    manifest: ManifestFacts | None  # None: gone already
    tag: str
    tagged: ManifestFacts | None  # None: no tag, or gone already


def find(registry: Registry, full_name: str) -> Repository | None:
    """Return the repository that the registry calls `full_name`."""
    namespace, name = split_name(full_name)
    found = Repository.objects.select_related("namespace__registry").filter(namespace__registry=registry, name=name)
    return found.filter(_is(namespace)).first()


def split_name(full_name: str) -> tuple[str | None, str]:
    """Return namespace and name; the namespace is None, meaning the global one, for a name without a slash."""
    first, slash, rest = full_name.partition("/")
    return (first, rest) if slash else (None, first)


def revision_of(registry: Registry, full_name: str) -> int | None:
    """Return the revision of a repository, None while there is no row."""
    repository = find(registry, full_name)
    return repository.revision if repository else None


def digests_of(registry: Registry, full_name: str) -> list[str]:
    """Return the digests of all manifests that we know in a repository."""
    repository = find(registry, full_name)
    return list(repository.manifests.values_list("digest", flat=True)) if repository else []


def record_push(
    registry: Registry,
    full_name: str,
    revision: int | None,
    pushed: Pushed,
    *,
    at: datetime | None,
    author: User | None,
    author_name: str = "",
) -> None:
    """Bring the rows in line with what was pushed. Without `at` nothing was: it is only learnt that it is there.

    Raises Stale when the repository is no longer at `revision`. Call it inside a transaction.
    """
    repository = _repository_at(registry, full_name, revision)
    manifest = _keep_manifest(repository, pushed.manifest, at, author, author_name) if pushed.manifest else None
    tag = None
    if pushed.tag and pushed.tagged:
        if pushed.manifest and pushed.tagged.digest == pushed.manifest.digest and manifest:
            tag = _point(repository, pushed.tag, manifest, at, author=author, author_name=author_name)
        else:
            # The tag has moved on. The event of that push tells who did it; that it is so is true already.
            target = _keep_manifest(repository, pushed.tagged, None, None, "")
            tag = _point(repository, pushed.tag, target, None, author=None, author_name="")
    _count(repository)
    if at and pushed.manifest:
        record(
            "repository.push", repository, tag,
            actor=author, actor_name=author_name or SOMEONE, at=at,
            tag_name=pushed.tag, digest=pushed.manifest.digest,
        )  # fmt: skip


def record_pull(registry: Registry, full_name: str, digest: str, tag: str, at: datetime) -> bool:
    """Set when a manifest, and the tag it was asked by, was last pulled; return whether the manifest is known."""
    repository = find(registry, full_name)
    manifest = repository.manifests.filter(digest=digest).first() if repository else None
    if repository is None or manifest is None:
        return False
    earlier = Q(pulled_at=None) | Q(pulled_at__lt=at)
    Manifest.objects.filter(earlier, pk=manifest.pk).update(pulled_at=at)
    if tag:
        Tag.objects.filter(earlier, repository=repository, name=tag).update(pulled_at=at)
    return True


def record_removal(
    registry: Registry,
    full_name: str,
    revision: int | None,
    *,
    digest: str,
    tag: str,
    at: datetime,
    actor: User | None,
    actor_name: str = "",
) -> None:
    """Take out what the registry no longer has: a manifest with its tags, one tag, or the whole repository.

    A repository that is left without any manifest goes too. Raises Stale as `record_push` does.
    """
    if revision is None:
        if find(registry, full_name):
            raise Stale
        return
    repository = _repository_at(registry, full_name, revision)
    tags = repository.tags.all()
    manifests = repository.manifests.all()
    if digest:
        tags, manifests = tags.filter(manifest__digest=digest), manifests.filter(digest=digest)
    elif tag:
        tags, manifests = tags.filter(name=tag), manifests.none()
    tell = partial(record, actor=actor, actor_name=actor_name or SOMEONE, at=at)
    for gone in tags.select_related("manifest", "repository__namespace__registry").order_by("name"):
        tell("repository.delete", repository, gone, tag_name=gone.name, digest=gone.manifest.digest)
    tags.delete()
    manifests.delete()
    if repository.manifests.exists():
        _count(repository)
        return
    tell("namespace.delete", repository.namespace, repository, repository_name=repository.name)
    repository.delete()


def _is(namespace: str | None) -> Q:
    return Q(namespace__global_marker=True) if namespace is None else Q(namespace__name=namespace)


def _repository_at(registry: Registry, full_name: str, revision: int | None) -> Repository:
    """Return the repository, made if there was none, with its revision one higher; raise Stale if it has moved."""
    if revision is None:
        return _make(registry, full_name)
    repository = find(registry, full_name)
    if repository is None:
        raise Stale
    unmoved = Repository.objects.filter(pk=repository.pk, revision=revision)
    if not unmoved.update(revision=F("revision") + 1):
        raise Stale
    return repository


def _make(registry: Registry, full_name: str) -> Repository:
    namespace_name, name = split_name(full_name)
    try:
        with transaction.atomic():
            if namespace_name is None:
                namespace = Namespace.objects.get(registry=registry, global_marker=True)
            else:
                # Unasked for: it waits, private and without a team, for an administrator to assign it.
                namespace, _ = Namespace.objects.get_or_create(
                    registry=registry, name=namespace_name, defaults={"visibility": Visibility.PRIVATE}
                )
            return Repository.objects.create(namespace=namespace, name=name, revision=1)
    except IntegrityError as error:
        raise Stale from error


def _keep_manifest(
    repository: Repository, facts: ManifestFacts, at: datetime | None, author: User | None, author_name: str
) -> Manifest:
    """Return the row of a manifest, made if there is none; the newest push that we know of is its author's."""
    manifest, made = Manifest.objects.get_or_create(
        repository=repository,
        digest=facts.digest,
        defaults={
            "media_type": facts.media_type,
            "artifact_type": facts.artifact_type,
            "config_digest": facts.config_digest,
            "subject_digest": facts.subject_digest,
            "size": facts.size,
            "platforms": list(facts.platforms),
            "author": author,
            "author_name": author_name,
            "pushed_at": at or timezone.now(),
        },
    )
    if made:
        IndexEntry.objects.bulk_create(
            IndexEntry(
                index=manifest,
                digest=child.digest,
                media_type=child.media_type,
                platform=child.platform,
                size=child.size,
            )
            for child in {child.digest: child for child in facts.children}.values()
        )
    elif at and (author_name or not manifest.author_name) and (not manifest.author_name or at >= manifest.pushed_at):
        manifest.author, manifest.author_name, manifest.pushed_at = author, author_name, at
        manifest.save(update_fields=["author", "author_name", "pushed_at"])
    return manifest


def _point(
    repository: Repository, name: str, manifest: Manifest, at: datetime | None, *, author: User | None, author_name: str
) -> Tag:
    """Make a tag point at a manifest. Author and date follow the newest push of this name, whatever the order."""
    now = timezone.now()
    tag, made = Tag.objects.get_or_create(
        repository=repository,
        name=name,
        defaults={
            "manifest": manifest,
            "attachment": is_attachment(name),
            "author": author,
            "author_name": author_name,
            "pushed_at": at,
            "created_at": at or now,
            "updated_at": at or now,
        },
    )
    if made:
        return tag
    moved = tag.manifest_id != manifest.pk
    newer = at is not None and (tag.pushed_at is None or at > tag.pushed_at)
    if moved:
        tag.manifest, tag.updated_at = manifest, at or now
    if newer:
        tag.author, tag.author_name, tag.pushed_at, tag.updated_at = author, author_name, at, at or now
    elif moved:
        # Who moved it is told by an event that has yet to come; the old author did not.
        tag.author, tag.author_name, tag.pushed_at = None, "", None
    if moved or newer:
        tag.save(update_fields=["manifest", "author", "author_name", "pushed_at", "updated_at"])
    return tag


def _count(repository: Repository) -> None:
    count = repository.tags.filter(attachment=False).count()
    Repository.objects.filter(pk=repository.pk).update(tag_count=count, updated_at=timezone.now())
