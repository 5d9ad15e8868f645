"""Small images, the same at every run, made on disk or in memory without any daemon.

An `Image` is a manifest (or index) with everything below it. `docker_image`, `oci_image`, `oci_index`, `docker_list`
and `artifact` make one in memory; `write_oci_layout`, `write_dir` and `write_docker_archive` put it where skopeo can
read it and return the reference to give to skopeo; `client.RegistryClient.push` sends one as it is.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
SPDX = "application/spdx+json"

AMD64 = "linux/amd64"
ARM64 = "linux/arm64/v8"
CREATED = "2024-01-01T00:00:00Z"


@dataclass(frozen=True)
class Blob:
    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    @property
    def size(self) -> int:
        return len(self.data)

    def descriptor(self, **more: Any) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **more}


@dataclass(frozen=True)
class Image:
    """`config` and `layers` belong to an image or artifact, `children` to an index."""

    manifest: Blob
    config: Blob | None = None
    layers: tuple[Blob, ...] = ()
    children: tuple["Image", ...] = ()
    platform: str | None = None
    subject: "Image | None" = field(default=None, repr=False)

    @property
    def digest(self) -> str:
        return self.manifest.digest

    @property
    def media_type(self) -> str:
        return self.manifest.media_type

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Its own configuration and layers, not those of its children."""
        return (*([self.config] if self.config else []), *self.layers)

    @property
    def size(self) -> int:
        """Configuration and layers as they lie in the registry, without the manifest."""
        return sum(blob.size for blob in self.blobs)

    def everything(self) -> Iterator["Image"]:
        """The children, deepest first, and the image itself: the order in which a registry accepts them."""
        for child in self.children:
            yield from child.everything()
        yield self


def docker_image(content: str = "hello", *, platform: str = AMD64, layers: int = 1) -> Image:
    """A schema 2 image; another content gives other digests."""
    return _image(content, platform, layers, DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER)


def oci_image(content: str = "hello", *, platform: str = AMD64, layers: int = 1) -> Image:
    return _image(content, platform, layers, OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)


def oci_index(content: str = "hello", *, platforms: Sequence[str] = (AMD64, ARM64)) -> Image:
    children = tuple(oci_image(f"{content} on {platform}", platform=platform) for platform in platforms)
    return _index(children, OCI_INDEX)


def docker_list(content: str = "hello", *, platforms: Sequence[str] = (AMD64, ARM64)) -> Image:
    """Docker's own kind of multi-platform image, a manifest list."""
    children = tuple(docker_image(f"{content} on {platform}", platform=platform) for platform in platforms)
    return _index(children, DOCKER_LIST)


def artifact(
    subject: Image | None,
    content: str = "{}",
    *,
    artifact_type: str = SPDX,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """A thing that says something about subject, an SBOM say; without a subject one that stands alone."""
    config = Blob(OCI_EMPTY, b"{}")
    layer = Blob(artifact_type, content.encode())
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
        **({"subject": subject.manifest.descriptor()} if subject else {}),
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    return Image(_json(OCI_MANIFEST, body), config, (layer,), subject=subject)


def write_oci_layout(image: Image, folder: Path, *, tag: str = "latest") -> str:
    """An OCI layout; for OCI images and indexes only."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for part in image.everything():
        for blob in (*part.blobs, part.manifest):
            (blobs / blob.digest.removeprefix("sha256:")).write_bytes(blob.data)
    named = image.manifest.descriptor(annotations={"org.opencontainers.image.ref.name": tag})
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    return f"oci:{folder}:{tag}"


def write_dir(image: Image, folder: Path) -> str:
    """The folder form of skopeo, which keeps any manifest byte by byte."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    for part in image.everything():
        name = "manifest.json" if part is image else f"{part.digest.removeprefix('sha256:')}.manifest.json"
        (folder / name).write_bytes(part.manifest.data)
        for blob in part.blobs:
            (folder / blob.digest.removeprefix("sha256:")).write_bytes(blob.data)
    return f"dir:{folder}"


def write_docker_archive(image: Image, path: Path, *, name: str = "example/app:latest") -> str:
    """What `docker save` writes; for an image of one platform."""
    assert image.config is not None
    layers = [f"{blob.digest.removeprefix('sha256:')}.tar" for blob in image.layers]
    configuration = f"{image.config.digest.removeprefix('sha256:')}.json"
    listing = [{"Config": configuration, "RepoTags": [name], "Layers": layers}]
    files = {
        configuration: image.config.data,
        **{file: gzip.decompress(blob.data) for file, blob in zip(layers, image.layers, strict=True)},
        "manifest.json": json.dumps(listing).encode(),
    }
    path.write_bytes(_tar(files))
    return f"docker-archive:{path}"


def _image(content: str, platform: str, layers: int, media_type: str, config_type: str, layer_type: str) -> Image:
    archives = [_tar({f"content-{number}": f"{content} {number}\n".encode()}) for number in range(layers)]
    config = {
        "created": CREATED,
        **_platform(platform),
        "config": {"Cmd": ["/content-0"], "Labels": {"content": content}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in archives]},
        "history": [{"created": CREATED, "created_by": f"COPY content-{number}"} for number in range(layers)],
    }
    config_blob = _json(config_type, config)
    blobs = tuple(Blob(layer_type, gzip.compress(archive, mtime=0)) for archive in archives)
    body = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config_blob.descriptor(),
        "layers": [blob.descriptor() for blob in blobs],
    }
    return Image(_json(media_type, body), config_blob, blobs, platform=platform)


def _index(children: tuple[Image, ...], media_type: str) -> Image:
    manifests = [child.manifest.descriptor(platform=_platform(child.platform or AMD64)) for child in children]
    body = {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}
    return Image(_json(media_type, body), children=children)


def _platform(name: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), name.split("/"), strict=False))


def _json(media_type: str, body: object) -> Blob:
    return Blob(media_type, json.dumps(body, separators=(",", ":")).encode())


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
