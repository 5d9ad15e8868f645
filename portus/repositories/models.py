import re

from django.conf import settings
from django.db import models
from django.utils import timezone

from portus.activities.snapshot import Snapshot
from portus.fields import DIGEST_LENGTH, ExactCharField

# `sha256-<hex>` of the OCI referrers fallback, `sha256-<hex>.sig` and the like of cosign.
ATTACHMENT_NAME = re.compile(r"sha(256-[0-9a-f]{64}|512-[0-9a-f]{128})(\.[a-z0-9]+)?")


def is_attachment(tag_name: str) -> bool:
    """Return whether a tag only attaches something (a signature, an SBOM) to the image whose digest it spells."""
    return ATTACHMENT_NAME.fullmatch(tag_name) is not None


class Repository(models.Model):
    """One repository as the registry has it. Its name may have slashes; the namespace is the part before the first."""

    namespace = models.ForeignKey("teams.Namespace", on_delete=models.CASCADE, related_name="repositories")
    name = ExactCharField(max_length=255)
    tag_count = models.IntegerField(default=0)  # without attachments
    # Grows with every change of manifests and tags, so that two workers cannot write what one of them read too early.
    revision = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["namespace", "name"], name="repository_name_once_per_namespace"),
        ]
        indexes = [
            models.Index(fields=["name", "id"], name="repository_by_name"),
            models.Index(fields=["updated_at", "id"], name="repository_by_update"),
        ]

    def __str__(self) -> str:
        return self.full_name

    @property
    def full_name(self) -> str:
        """The name in the registry: bare in the global namespace, else with the namespace in front."""
        return self.name if self.namespace.is_global else f"{self.namespace.name}/{self.name}"

    def audit_snapshot(self) -> Snapshot:
        namespace = self.namespace.audit_snapshot()
        return Snapshot(
            kind="repository",
            pk=self.pk,
            name=self.full_name,
            audience=namespace.audience,
            namespace_name=namespace.name,
            team_id=namespace.team_id,
        )


class Manifest(models.Model):
    """What a digest stands for: an image, an index of images, or an artifact."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="manifests")
    digest = ExactCharField(max_length=DIGEST_LENGTH)
    media_type = models.CharField(max_length=255)
    artifact_type = models.CharField(max_length=255, blank=True)
    config_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True)
    subject_digest = ExactCharField(max_length=DIGEST_LENGTH, blank=True)
    # Bytes as stored in the registry, compressed: configuration and layers; of an index the sum of its children.
    size = models.BigIntegerField(null=True)
    platforms = models.JSONField(default=list)  # ["linux/amd64", "linux/arm64/v8"]
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="manifests")
    author_name = models.CharField(max_length=255, blank=True)
    pushed_at = models.DateTimeField()
    pulled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "digest"], name="manifest_once_per_repository"),
        ]
        indexes = [
            models.Index(fields=["repository", "subject_digest"], name="manifest_by_subject"),
            models.Index(fields=["digest"], name="manifest_by_digest"),
            models.Index(fields=["repository", "pushed_at"], name="manifest_by_push"),
        ]


class IndexEntry(models.Model):
    """A child that an index names. By digest, not by row: an index may be known before its children or without them."""

    index = models.ForeignKey(Manifest, on_delete=models.CASCADE, related_name="entries")
    digest = ExactCharField(max_length=DIGEST_LENGTH)
    media_type = models.CharField(max_length=255, blank=True)
    platform = models.CharField(max_length=64, blank=True)
    size = models.BigIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["index", "digest"], name="child_once_per_index")]
        indexes = [models.Index(fields=["digest"], name="index_entry_by_digest")]


class Tag(models.Model):
    """A name that points at a manifest. Who pushed it and when are told by the newest event that we have seen."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="tags")
    name = ExactCharField(max_length=128)
    # A name that only attaches something to another image (the referrers fallback, cosign): hidden and never counted.
    attachment = models.BooleanField(default=False)
    manifest = models.ForeignKey(Manifest, on_delete=models.CASCADE, related_name="tags")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="tags")
    author_name = models.CharField(max_length=255, blank=True)
    # When this name was last pushed, by the clock of the registry. Null: we only ever saw it there.
    pushed_at = models.DateTimeField(null=True)
    pulled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "name"], name="tag_name_once_per_repository")]
        indexes = [
            models.Index(fields=["repository", "updated_at"], name="tag_by_repository_and_time"),
        ]

    def audit_snapshot(self) -> Snapshot:
        repository = self.repository.audit_snapshot()
        return Snapshot(
            kind="tag",
            pk=self.pk,
            name=self.name,
            audience=repository.audience,
            namespace_name=repository.namespace_name,
            team_id=repository.team_id,
        )
