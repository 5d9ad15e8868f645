"""What the pages of repositories show, each in a fixed number of queries whatever the number of rows."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from portus import policy
from portus.accounts.models import Visitor
from portus.repositories import kinds
from portus.repositories.models import IndexEntry, Manifest, Repository, Tag
from portus.web.paging import Order, Page, count_up_to, page_by_key, read_time, write_time

ORDERS = {
    "name": Order("name"),
    "-name": Order("name", descending=True),
    "updated": Order("updated_at", write=write_time, read=read_time),
    "-updated": Order("updated_at", descending=True, write=write_time, read=read_time),
}
NEWEST_TAGS = Order("updated_at", descending=True, write=write_time, read=read_time)
NEWEST_MANIFESTS = Order("pushed_at", descending=True, write=write_time, read=read_time)
TAGS_SHOWN = 20  # of one image; more are counted, not named
PARTS_SHOWN = 50  # of one index, likewise: a registry takes one with thousands
ATTACHMENTS_READ = 500  # of all images on a page: whoever pushes can attach as many as she likes
COSIGN_SUFFIXES = tuple(f".{suffix}" for suffix in kinds.SUFFIXES)


@dataclass(frozen=True)
class Position:
    """Where in a list somebody is, as the address of the page has it."""

    query: str = ""
    sort: str = "name"
    after: str = ""
    before: str = ""


@dataclass(frozen=True)
class Attachment:
    kind: str
    manifest: Manifest


@dataclass(frozen=True)
class Part:
    """One child of an index."""

    entry: IndexEntry
    attachments: list[Attachment]

    @property
    def platform(self) -> str:
        """Builders hang attestations into an index as images for no platform at all."""
        unknown = self.entry.platform in {"", "unknown/unknown"}
        return "attestation or other" if unknown else self.entry.platform


@dataclass(frozen=True)
class Image:
    """One manifest with everything that a page says of it."""

    manifest: Manifest
    address: str  # host and name to pull from
    use_ssl: bool = True
    tags: list[Tag] = field(default_factory=list)
    tag_count: int = 0
    parts: list[Part] = field(default_factory=list)
    part_count: int = 0
    attachments: list[Attachment] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return kinds.kind(self.manifest)

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Ways to get it, each with the name of its tool; by tag where there is one, and by digest."""
        by_digest = f"{self.address}@{self.manifest.digest}"
        reference = f"{self.address}:{self.newest.name}" if self.newest else by_digest
        if kinds.is_helm_chart(self.manifest) and self.newest:
            return [("helm", f"helm pull oci://{self.address} --version {self.newest.name}")]
        # Both insist on TLS, even on localhost. Docker does not there, and elsewhere only its daemon can be told.
        podman, skopeo = ("", "") if self.use_ssl else ("--tls-verify=false ", "--src-tls-verify=false ")
        copy = f"skopeo copy {skopeo}docker://{reference}"
        if kinds.is_artifact(self.manifest):
            return [("oras", f"oras pull {reference}"), ("skopeo", f"{copy} dir:artifact")]
        tools = [
            ("docker", f"docker pull {reference}"),
            ("podman", f"podman pull {podman}{reference}"),
            ("skopeo", f"{copy} dir:image"),
        ]
        return [*tools, ("by digest", f"docker pull {by_digest}")] if self.newest else tools

    @property
    def tags_not_shown(self) -> int:
        return self.tag_count - len(self.tags)

    @property
    def parts_not_shown(self) -> int:
        return self.part_count - len(self.parts)

    @property
    def newest(self) -> Tag | None:
        return self.tags[0] if self.tags else None


def find_repositories(user: Visitor, position: Position) -> tuple[Page[Repository], int]:
    """Return a page of what `user` may see, and how many there are in all."""
    rows = policy.visible_repositories(user).filter(_matching(position.query))
    order = ORDERS.get(position.sort, ORDERS["name"])
    page = page_by_key(
        rows.select_related("namespace__registry"),
        order,
        size=settings.PORTUS.pagination.per_page,
        after=position.after,
        before=position.before,
    )
    return page, count_up_to(rows)


def _matching(query: str) -> Q:
    """Every word stands in the name of the repository or its namespace. A tag behind a colon does not matter."""
    condition = Q()
    for word in query.partition(":")[0].lower().replace("/", " ").split():
        condition &= Q(name__contains=word) | Q(namespace__name__contains=word, namespace__global_marker=None)
    return condition


def find_images(repository: Repository, position: Position) -> tuple[Page[Tag], list[Image]]:
    """Return images with tags, the last tagged first; an image stands where its newest tag does."""
    wanted = Tag.objects.filter(attachment=False)
    if position.query:
        wanted = wanted.filter(name__contains=position.query)
    newer = Q(updated_at__gt=OuterRef("updated_at")) | Q(updated_at=OuterRef("updated_at"), pk__gt=OuterRef("pk"))
    # By the manifest alone: were the repository named again, a database might go through all its tags for each of them.
    leaders = wanted.filter(~Exists(wanted.filter(newer, manifest=OuterRef("manifest"))), repository=repository)
    page = page_by_key(
        leaders.select_related("manifest"),
        NEWEST_TAGS,
        size=settings.PORTUS.pagination.per_page,
        after=position.after,
        before=position.before,
    )
    return page, _images(repository, [tag.manifest for tag in page.rows], wanted)


def find_untagged(repository: Repository, position: Position) -> tuple[Page[Manifest], list[Image]]:
    """Return manifests that no tag, index or subject of this repository leads to, the last pushed first."""
    own = Manifest.objects.filter(repository=repository)
    rows = own.filter(
        ~Exists(Tag.objects.filter(manifest=OuterRef("pk"))),
        ~Exists(IndexEntry.objects.filter(digest=OuterRef("digest"), index__repository=repository)),
        Q(subject_digest="") | ~Exists(own.filter(digest=OuterRef("subject_digest"))),
    )
    page = page_by_key(
        rows,
        NEWEST_MANIFESTS,
        size=settings.PORTUS.pagination.per_page,
        after=position.after,
        before=position.before,
    )
    return page, _images(repository, page.rows, Tag.objects.none())


def _images(repository: Repository, manifests: list[Manifest], tags: QuerySet[Tag]) -> list[Image]:
    named = tags.filter(manifest__in=manifests)
    counts = dict(named.order_by().values_list("manifest").annotate(Count("pk")))
    names: dict[int, list[Tag]] = defaultdict(list)
    for tag in named.order_by("-updated_at", "-pk")[: TAGS_SHOWN * max(1, len(manifests))]:
        if len(names[tag.manifest_id]) < TAGS_SHOWN:
            names[tag.manifest_id].append(tag)
    part_counts, entries = _parts(manifests)
    digests = {manifest.digest for manifest in manifests}
    digests |= {entry.digest for several in entries.values() for entry in several}
    attached = _attachments(repository, digests)
    registry = repository.namespace.registry
    address = f"{registry.shown_hostname}/{repository.full_name}"
    return [
        Image(
            manifest,
            address,
            # How we reach it tells nothing of its external name: nobody is told to skip checks for that one.
            use_ssl=registry.use_ssl or registry.external_hostname is not None,
            tags=names[manifest.pk],
            tag_count=counts.get(manifest.pk, 0),
            part_count=part_counts.get(manifest.pk, 0),
            parts=[Part(entry, attached[entry.digest]) for entry in entries[manifest.pk]],
            attachments=attached[manifest.digest],
        )
        for manifest in manifests
    ]


def _parts(manifests: list[Manifest]) -> tuple[dict[int, int], dict[int, list[IndexEntry]]]:
    """Return how many children each index has, and the first of them."""
    rows = IndexEntry.objects.filter(index__in=manifests).annotate(
        place=Window(RowNumber(), partition_by=F("index"), order_by="pk"),
        siblings=Window(Count("pk"), partition_by=F("index")),
    )
    counts: dict[int, int] = {}
    entries: dict[int, list[IndexEntry]] = defaultdict(list)
    for entry in rows.filter(place__lte=PARTS_SHOWN).order_by("pk"):
        entries[entry.index_id].append(entry)
        counts[entry.index_id] = entry.siblings
    return counts, entries


def _attachments(repository: Repository, digests: Iterable[str]) -> dict[str, list[Attachment]]:
    """Return what hangs on each digest: what names it as its subject, and what cosign tagged with it."""
    found: dict[str, list[Attachment]] = defaultdict(list)
    # Sorted here: asked to do it, a database may go through the repository in that order and look at everything.
    attached = repository.manifests.filter(subject_digest__in=digests)[:ATTACHMENTS_READ]
    named = sorted(attached, key=lambda manifest: manifest.pk)
    for manifest in named:
        found[manifest.subject_digest].append(Attachment(kinds.attachment_kind(manifest), manifest))
    names = {digest.replace(":", "-", 1) + suffix: digest for digest in digests for suffix in COSIGN_SUFFIXES}
    tags = repository.tags.filter(name__in=names, attachment=True).select_related("manifest")
    for tag in sorted(tags, key=lambda tag: tag.pk):
        if tag.manifest not in named:
            found[names[tag.name]].append(Attachment(kinds.attachment_kind(tag.manifest, tag.name), tag.manifest))
    return found
