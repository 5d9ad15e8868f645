"""What a manifest says of an image, an index or an artifact. Sources: the OCI image specification; Docker's schema 2."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from portus.fields import DIGEST_LENGTH
from portus.registry.client import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, RegistryClient, StoredManifest

IMAGE_CONFIGURATIONS = frozenset(
    {"application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"}
)
INDEXES = frozenset({DOCKER_LIST, OCI_INDEX})
NO_PLATFORM = "unknown/unknown"  # what builders write on attestations that they attach to an index
MOST_CHILDREN = 200  # of an index whose children are looked at one by one
LONGEST_TYPE = 255
BIGGEST_BLOB = 2**50  # bytes; a number above it is nonsense that no column could sum up


@dataclass(frozen=True)
class Child:
    """One entry of an index. The size is that of the image, in bytes; None when the image is not there."""

    digest: str
    media_type: str
    platform: str
    size: int | None


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
    media_type = (_text(stored.content.get("mediaType")) or stored.media_type)[:LONGEST_TYPE]
    if media_type in INDEXES or (isinstance(stored.content.get("manifests"), list) and "config" not in stored.content):
        return _index(client, repository, stored, media_type)
    if media_type in {DOCKER_MANIFEST, OCI_MANIFEST} or "config" in stored.content:
        return _image(client, repository, stored, media_type)
    architecture = _text(stored.content.get("architecture"))  # schema 1
    return ManifestFacts(stored.digest, media_type, platforms=(f"linux/{architecture}",) if architecture else ())


def _image(client: RegistryClient, repository: str, stored: StoredManifest, media_type: str) -> ManifestFacts:
    config = _mapping(stored.content.get("config"))
    config_type, config_digest = _text(config.get("mediaType")), _digest(config.get("digest"))
    is_image = config_type in IMAGE_CONFIGURATIONS
    artifact_type = _text(stored.content.get("artifactType")) or ("" if is_image else config_type)
    platforms: tuple[str, ...] = ()
    if is_image and not artifact_type and config_digest:
        platform = _platform(client.blob(repository, config_digest) or {})
        platforms = (platform,) if platform else ()
    return ManifestFacts(
        stored.digest,
        media_type,
        artifact_type=artifact_type[:LONGEST_TYPE],
        config_digest=config_digest,
        subject_digest=_digest(_mapping(stored.content.get("subject")).get("digest")),
        size=_image_size(stored.content),
        platforms=platforms,
    )


def _index(client: RegistryClient, repository: str, stored: StoredManifest, media_type: str) -> ManifestFacts:
    children = tuple(_children(client, repository, stored.content))
    sizes = [child.size for child in children if child.size is not None]
    platforms = dict.fromkeys(child.platform for child in children if child.platform not in {"", NO_PLATFORM})
    return ManifestFacts(
        stored.digest,
        media_type,
        artifact_type=_text(stored.content.get("artifactType"))[:LONGEST_TYPE],
        subject_digest=_digest(_mapping(stored.content.get("subject")).get("digest")),
        size=sum(sizes) if sizes else None,
        platforms=tuple(platforms),
        children=children,
    )


def _children(client: RegistryClient, repository: str, content: dict[str, Any]) -> Iterator[Child]:
    entries = content.get("manifests")
    for entry in (entries if isinstance(entries, list) else [])[:MOST_CHILDREN]:
        descriptor = _mapping(entry)
        digest, media_type = _digest(descriptor.get("digest")), _text(descriptor.get("mediaType"))[:LONGEST_TYPE]
        if not digest:
            continue
        stored = client.manifest(repository, digest)
        size = _image_size(stored.content) if stored else None
        yield Child(digest, media_type, _platform(_mapping(descriptor.get("platform"))), size)


def _image_size(content: dict[str, Any]) -> int | None:
    """Return the bytes of configuration and layers, each blob once; None for what has neither."""
    layers = content.get("layers")
    blobs = [_mapping(content.get("config")), *map(_mapping, layers if isinstance(layers, list) else [])]
    sizes = {_text(blob.get("digest")): blob.get("size") for blob in blobs}
    known = [size for size in sizes.values() if isinstance(size, int) and 0 <= size < BIGGEST_BLOB]
    return sum(known) if known else None


def _platform(said: dict[str, Any]) -> str:
    """Return `os/architecture[/variant]` of a platform or an image's configuration, "" when it does not say."""
    parts = [_text(said.get(name)) for name in ("os", "architecture", "variant")]
    return "/".join(filter(None, parts))[:64] if parts[0] and parts[1] else ""


def _text(value: Any) -> str:
    """Return a text that every database can store, "" for anything else: whoever pushes decides what is in there."""
    return value if isinstance(value, str) and value.isprintable() else ""


def _digest(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= DIGEST_LENGTH else ""


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
