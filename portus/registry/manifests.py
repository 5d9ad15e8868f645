"""What a manifest says of an image, an index or an artifact.

Sources: the OCI image specification; Docker's image manifest, schema 2.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from portus.registry.client import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    RegistryClient,
    StoredManifest,
    is_digest,
)

IMAGE_CONFIGURATIONS = frozenset(
    {"application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"}
)
INDEXES = frozenset({DOCKER_LIST, OCI_INDEX})
NO_PLATFORM = "unknown/unknown"  # what builders write on attestations that they attach to an index
MOST_LOOKED_AT = 200  # children of an index, and theirs; of any further ones the size stays unknown
DEEPEST = 3  # indexes inside one another; of what lies deeper the size stays unknown
LONGEST_TYPE = 255
LONGEST_PLATFORM = 64
BIGGEST = 2**45  # bytes; a number above it is nonsense, and many of them no column could sum up


@dataclass(frozen=True)
class Child:
    """One entry of an index. The size is that of the image, in bytes; None when the image is not there."""

    digest: str
    media_type: str
    platform: str
    size: int | None
    inner_platforms: tuple[str, ...] = ()  # of an entry that is an index itself


@dataclass(frozen=True)
class ManifestFacts:
    """What the catalogue keeps of a manifest. Sizes in bytes, as stored in the registry."""

    digest: str
    media_type: str
    artifact_type: str = ""
    config_digest: str = ""
    subject_digest: str = ""
    size: int | None = None
    platforms: tuple[str, ...] = ()
    children: tuple[Child, ...] = ()


def describe(client: RegistryClient, repository: str, stored: StoredManifest) -> ManifestFacts:
    """Return what `stored` is, asking for an image's configuration or an index's children. Raises RegistryError.

    Content that breaks the specification gives less, never an error: it is in the registry, so it is listed.
    """
    media_type = (_text(stored.content.get("mediaType")) or _text(stored.media_type))[:LONGEST_TYPE]
    if _is_index(media_type, stored.content):
        return _index(client, repository, stored, media_type, iter(range(MOST_LOOKED_AT)), depth=1)
    if media_type in {DOCKER_MANIFEST, OCI_MANIFEST} or "config" in stored.content:
        return _image(client, repository, stored, media_type)
    architecture = _text(stored.content.get("architecture"))  # schema 1
    platforms = _shown(f"linux/{architecture}"[:LONGEST_PLATFORM]) if architecture else ()
    return ManifestFacts(stored.digest, media_type, platforms=platforms)


def _is_index(media_type: str, content: dict[str, Any]) -> bool:
    return media_type in INDEXES or (isinstance(content.get("manifests"), list) and "config" not in content)


def _image(client: RegistryClient, repository: str, stored: StoredManifest, media_type: str) -> ManifestFacts:
    config = _mapping(stored.content.get("config"))
    config_type, config_digest = _text(config.get("mediaType")), _digest(config.get("digest"))
    is_image = config_type in IMAGE_CONFIGURATIONS
    artifact_type = _text(stored.content.get("artifactType")) or ("" if is_image else config_type)
    platforms: tuple[str, ...] = ()
    if is_image and not artifact_type and config_digest:
        platforms = _shown(_platform(client.blob(repository, config_digest) or {}))
    return ManifestFacts(
        stored.digest,
        media_type,
        artifact_type=artifact_type[:LONGEST_TYPE],
        config_digest=config_digest,
        subject_digest=_digest(_mapping(stored.content.get("subject")).get("digest")),
        size=_image_size(stored.content),
        platforms=platforms,
    )


def _index(
    client: RegistryClient,
    repository: str,
    stored: StoredManifest,
    media_type: str,
    looks: Iterator[int],
    *,
    depth: int,
) -> ManifestFacts:
    """Describe an index. Each look at a child takes one out of `looks`, however deep it lies."""
    children = tuple(_children(client, repository, stored.content, looks, depth))
    return ManifestFacts(
        stored.digest,
        media_type,
        artifact_type=_text(stored.content.get("artifactType"))[:LONGEST_TYPE],
        subject_digest=_digest(_mapping(stored.content.get("subject")).get("digest")),
        size=_sum(child.size for child in children),
        platforms=_shown(*(name for child in children for name in (child.platform, *child.inner_platforms))),
        children=children,
    )


def _children(
    client: RegistryClient, repository: str, content: dict[str, Any], looks: Iterator[int], depth: int
) -> Iterator[Child]:
    entries = content.get("manifests")
    known: set[str] = set()
    for entry in map(_mapping, entries if isinstance(entries, list) else []):
        digest, media_type = _digest(entry.get("digest")), _text(entry.get("mediaType"))[:LONGEST_TYPE]
        if not digest or digest in known:
            continue
        known.add(digest)
        platform = _platform(_mapping(entry.get("platform")))
        stored = client.manifest(repository, digest) if next(looks, None) is not None else None
        if stored is None:
            yield Child(digest, media_type, platform, None)
        elif not _is_index(media_type, stored.content):
            yield Child(digest, media_type, platform, _image_size(stored.content))
        elif depth < DEEPEST:
            inner = _index(client, repository, stored, media_type, looks, depth=depth + 1)
            yield Child(digest, media_type, platform, inner.size, inner.platforms)
        else:
            yield Child(digest, media_type, platform, None)


def _image_size(content: dict[str, Any]) -> int | None:
    """Return the bytes of configuration and layers, each blob once; None for what has neither."""
    layers = content.get("layers")
    blobs = [_mapping(content.get("config")), *map(_mapping, layers if isinstance(layers, list) else [])]
    sizes = {_text(blob.get("digest")): blob.get("size") for blob in blobs}
    return _sum(size for size in sizes.values() if type(size) is int and size >= 0)


def _sum(sizes: Iterable[int | None]) -> int | None:
    """Return the sum of what is known; None when nothing is, or when it is more than can be."""
    known = [size for size in sizes if size is not None]
    return sum(known) if known and sum(known) <= BIGGEST else None


def _platform(said: dict[str, Any]) -> str:
    """Return `os/architecture[/variant]` of a platform or an image's configuration, "" when it does not say."""
    parts = [_text(said.get(name)) for name in ("os", "architecture", "variant")]
    return "/".join(filter(None, parts))[:LONGEST_PLATFORM] if parts[0] and parts[1] else ""


def _text(value: Any) -> str:
    """Return a text that every database can store, "" for anything else: whoever pushes decides what is in there."""
    return value if isinstance(value, str) and value.isprintable() else ""


def _digest(value: Any) -> str:
    text = _text(value)
    return text if is_digest(text) else ""


def _shown(*platforms: str) -> tuple[str, ...]:
    """Return each platform once, without those that builders write on what is no image."""
    return tuple(dict.fromkeys(platform for platform in platforms if platform not in {"", NO_PLATFORM}))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
