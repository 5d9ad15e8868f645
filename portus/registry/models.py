import re
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.ipv6 import is_valid_ipv6_address

from portus.activities.snapshot import Audience, Snapshot
from portus.fields import ExactCharField

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"(?P<name>{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>[0-9]{{1,5}}))?")
_IPV6 = re.compile(r"\[(?P<name>[0-9A-Fa-f:.]+)\](?::(?P<port>[0-9]{1,5}))?")


def check_hostname(value: str) -> None:
    """Raise ValidationError unless `value` is a host name or address with an optional port, and nothing else."""
    found = _HOSTNAME.fullmatch(value) or _IPV6.fullmatch(value)
    sound = found is not None and 0 < int(found["port"] or 1) < 2**16
    if not sound or (value.startswith("[") and not is_valid_ipv6_address(value[1:].partition("]")[0])):
        raise ValidationError(
            "Enter a host name with an optional port, such as registry.example.org:5000.", code="invalid"
        )


class TokenKeyHeader(models.TextChoices):
    """How a token names the key that signed it. Which ones a registry understands depends on its version."""

    AUTOMATIC = "", "automatic"
    X5C = "x5c", "certificate chain (distribution 2.x and 3.x)"
    LIBTRUST = "libtrust", "key id as distribution 2.x computes it"
    RFC7638 = "rfc7638", "key id as distribution 3.x computes it (RFC 7638)"


class RegistryQuerySet(models.QuerySet["Registry"]):
    def known_as(self, host: str) -> "Registry | None":
        """Return the registry whose internal, else whose external host name is `host`."""
        if not host:
            return None
        return self.filter(hostname=host).first() or self.filter(external_hostname=host).first()


class Registry(models.Model):
    """A container registry that sends its clients to us for tokens."""

    name = ExactCharField(max_length=255, unique=True)
    hostname = ExactCharField(max_length=255, unique=True, validators=[check_hostname])
    external_hostname = ExactCharField(max_length=255, null=True, blank=True, unique=True, validators=[check_hostname])
    use_ssl = models.BooleanField()
    token_key_header = models.CharField(
        max_length=16, choices=TokenKeyHeader.choices, default=TokenKeyHeader.AUTOMATIC, blank=True
    )
    # SHA-256 of the secret that its notifications carry: it tells which registry is speaking.
    notification_secret_digest = ExactCharField(max_length=64, null=True, blank=True, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RegistryQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def shown_hostname(self) -> str:
        """The host name that people and clients use."""
        return self.external_hostname or self.hostname

    @property
    def base_url(self) -> str:
        return f"{'https' if self.use_ssl else 'http'}://{self.hostname}"

    def audit_snapshot(self) -> Snapshot:
        return Snapshot(kind="registry", pk=self.pk, name=self.name, audience=Audience.ADMINS)


class EventState(models.TextChoices):
    NEW = "new", "waiting"
    WORKING = "working", "being handled"
    DONE = "done", "handled"
    FAILED = "failed", "waiting for another try"
    QUARANTINED = "quarantined", "not understood"


class RegistryEventQuerySet(models.QuerySet["RegistryEvent"]):
    def due(self, now: datetime) -> "RegistryEventQuerySet":
        """Events that somebody should handle now: never tried, due for another try, or left by a worker that died."""
        return self.filter(due_at__lte=now)


class RegistryEvent(models.Model):
    """One notification of a registry: the inbox. The row is the truth, any queued task only a nudge to look at it."""

    key = ExactCharField(max_length=64, unique=True)  # SHA-256 of registry or host, and event id or content
    registry = models.ForeignKey(Registry, null=True, on_delete=models.CASCADE, related_name="events")
    trusted = models.BooleanField()  # it came with the registry's secret
    host = models.CharField(max_length=255, blank=True)
    action = models.CharField(max_length=32, blank=True)
    repository = models.CharField(max_length=255, blank=True)
    data = models.TextField()  # the event as JSON; for a quarantined one the first 64 KiB of what came
    state = models.CharField(max_length=16, choices=EventState.choices, default=EventState.NEW)
    # When it may be handled: at once, after a pause, or, while a worker has it, when its claim runs out. Null: never.
    due_at = models.DateTimeField(null=True, default=timezone.now, db_index=True)
    attempts = models.IntegerField(default=0)
    claim = models.CharField(max_length=32, blank=True)
    error = models.TextField(blank=True)
    received_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    objects = RegistryEventQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["state", "finished_at"], name="event_by_state"),
            models.Index(fields=["registry", "received_at"], name="event_by_registry"),
        ]
