"""What people call a manifest, by the media types that stand in it."""

from portus.repositories.models import Manifest

INDEXES = {
    "application/vnd.oci.image.index.v1+json": "OCI image index",
    "application/vnd.docker.distribution.manifest.list.v2+json": "Docker manifest list",
}
IMAGES = {
    "application/vnd.oci.image.manifest.v1+json": "OCI image",
    "application/vnd.docker.distribution.manifest.v2+json": "Docker image",
    "application/vnd.docker.distribution.manifest.v1+json": "Docker image, schema 1",
    "application/vnd.docker.distribution.manifest.v1+prettyjws": "Docker image, schema 1",
}
# The beginning of an artifact type, and what such a thing is.
ARTIFACTS = (
    ("application/vnd.cncf.helm.", "Helm chart"),
    ("application/spdx", "SBOM (SPDX)"),
    ("text/spdx", "SBOM (SPDX)"),
    ("application/vnd.cyclonedx", "SBOM (CycloneDX)"),
    ("application/vnd.syft", "SBOM (Syft)"),
    ("application/vnd.dev.cosign.artifact.sig.", "Signature (cosign)"),
    ("application/vnd.dev.cosign.artifact.sbom.", "SBOM (cosign)"),
    ("application/vnd.dev.cosign.", "Signature (cosign)"),
    ("application/vnd.dev.sigstore.bundle", "Signature (sigstore)"),
    ("application/vnd.cncf.notary.signature", "Signature (Notary)"),
    ("application/vnd.in-toto", "Attestation (in-toto)"),
    ("application/vnd.wasm", "WebAssembly module"),
    ("application/wasm", "WebAssembly module"),
)
# What cosign hangs on an image under a tag that spells the image's digest.
SUFFIXES = {"sig": "Signature (cosign)", "att": "Attestation (cosign)", "sbom": "SBOM (cosign)"}


def is_artifact(manifest: Manifest) -> bool:
    """Return whether no container can be started from it."""
    return bool(manifest.artifact_type)


def is_helm_chart(manifest: Manifest) -> bool:
    return manifest.artifact_type.startswith("application/vnd.cncf.helm.")


def kind(manifest: Manifest) -> str:
    if manifest.artifact_type:
        known = (name for start, name in ARTIFACTS if manifest.artifact_type.startswith(start))
        return next(known, f"Artifact ({manifest.artifact_type})")
    return INDEXES.get(manifest.media_type) or IMAGES.get(manifest.media_type) or manifest.media_type


def attachment_kind(manifest: Manifest, tag_name: str = "") -> str:
    """Name what hangs on an image; cosign's own say what they are only in the name of their tag."""
    return SUFFIXES.get(tag_name.partition(".")[2]) or kind(manifest)
