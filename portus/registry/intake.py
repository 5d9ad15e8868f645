"""Taking in what a registry tells us; `events` handles it later.

Only what arrived is stored. A registry that is refused tries for ever and blocks behind what was refused, so nothing
that is authentic is. Source: distribution's `docs/spec/notifications`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Q
from django.db.models.constants import OnConflict
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from portus.accounts.models import RESERVED_NAMES
from portus.background.queue import nudge
from portus.registry.models import EventState, Registry, RegistryEvent
from portus.registry.operations import secret_digest

BIGGEST_BODY = 16 * 1024 * 1024  # bytes
KEPT_OF_QUARANTINED = 64 * 1024  # bytes
MOST_WITHOUT_SECRET = 100  # events of one envelope; a registry sends few at a time

MANIFEST_TYPES = ("application/vnd.docker.distribution.manifest.", "application/vnd.oci.")
BLOB_TYPES = (
    "application/octet-stream",
    "application/vnd.docker.image.rootfs.",
    "application/vnd.docker.container.image.",
    "application/vnd.docker.plugin.",
    "application/vnd.oci.image.layer.",
    "application/vnd.oci.image.config.",
    "application/vnd.oci.empty.",
)
KNOWN_ACTIONS = frozenset({"push", "pull", "delete"})

COLUMNS = [field for field in RegistryEvent._meta.concrete_fields if not field.primary_key]  # noqa: SLF001


@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """Store the notifications of a registry and answer 202; 401 without its secret where it has one."""
    if not request.META.get("CONTENT_LENGTH"):
        return JsonResponse({"error": "Send the length of the body (Content-Length)."}, status=411)
    registry_id = _by_secret(request.META.get("HTTP_AUTHORIZATION", ""))
    if registry_id is None and (
        "HTTP_AUTHORIZATION" in request.META or not Registry.objects.filter(notification_secret_digest=None).exists()
    ):
        return _unknown_secret()
    body = request.read(BIGGEST_BODY + 1)
    events = _parse(body, most=None if registry_id else MOST_WITHOUT_SECRET)
    senders = _Senders(registry_id, {} if registry_id or events is None else _registries_by_host(events))
    if any(registry.notification_secret_digest for registry in senders.by_host.values()):
        return _unknown_secret()
    rows = _quarantine_all(registry_id, body) if events is None else _rows(senders, events)
    if rows:
        _store(rows)
        nudge("events")
    return HttpResponse(status=202)


def _store(rows: list[RegistryEvent]) -> None:
    """Insert what is not known yet."""
    if len(rows) > 1:
        RegistryEvent.objects.bulk_create(rows, ignore_conflicts=True)
        return
    # A registry sends one at a time. One statement is a transaction of its own: begun and ended apart, it would keep
    # SQLite's other writers waiting, who look again only after a while.
    insert = RegistryEvent.objects._insert  # type: ignore[attr-defined]  # noqa: SLF001 - bulk_create without its own
    insert(rows, fields=COLUMNS, using=DEFAULT_DB_ALIAS, on_conflict=OnConflict.IGNORE)


@dataclass(frozen=True)
class _Senders:
    """Who speaks: the registry that has the secret, else for each event the one that its host names."""

    with_secret: int | None
    by_host: Mapping[str, Registry]

    def of(self, host: str) -> int | None:
        if self.with_secret is not None:
            return self.with_secret
        return self.by_host[host].pk if host in self.by_host else None


def _registries_by_host(events: Iterable[tuple[Any, str]]) -> dict[str, Registry]:
    hosts = {_host(event) for event, _ in events} - {""}
    known = Registry.objects.filter(Q(hostname__in=hosts) | Q(external_hostname__in=hosts)).order_by("pk")
    by_external = {registry.external_hostname: registry for registry in known if registry.external_hostname in hosts}
    by_internal = {registry.hostname: registry for registry in known if registry.hostname in hosts}
    return {**by_external, **by_internal}


def _by_secret(header: str) -> int | None:
    """Return the key of the registry that has the secret in this header."""
    secret = header.removeprefix("Bearer ").strip()
    if not secret:
        return None
    with connection.cursor() as cursor:
        # Looked up by its hash: the comparison tells nothing about the secret itself.
        cursor.execute(_statement_by_secret(), [secret_digest(secret)])
        row = cursor.fetchone()
    return row[0] if row else None


@cache
def _statement_by_secret() -> str:
    """Return the statement as Django makes it, once: making it costs ten times what running it does."""
    query = Registry.objects.filter(notification_secret_digest="").order_by().values_list("pk").query
    statement: str = query.sql_with_params()[0]
    return statement


def _unknown_secret() -> HttpResponse:
    return JsonResponse({"error": "The secret of this registry's notifications is missing or wrong."}, status=401)


def _parse(body: bytes, *, most: int | None) -> list[tuple[Any, str]] | None:
    """Return the events of an envelope, each as what it says and as it is kept; None for what is no envelope.

    One with more than `most` events is none either.
    """
    if len(body) > BIGGEST_BODY:
        return None
    try:
        envelope = json.loads(body)
        events = envelope.get("events") if isinstance(envelope, dict) else None
        if not isinstance(events, list) or (most is not None and len(events) > most):
            return None
        # What is nested too deeply to be written again cannot be kept either.
        return [(event, json.dumps(event, sort_keys=True)) for event in events]
    except (ValueError, RecursionError):
        return None


def read_again(event: RegistryEvent) -> dict[str, Any]:
    """Return the fields in which a quarantined event differs, now that more is known.

    Raises ValidationError when it is still not understood, and when it came a second time and was understood then.
    """
    try:
        content = json.loads(event.data)
    except (ValueError, RecursionError) as error:
        raise ValidationError(event.error, code="not_understood") from error
    with_secret = event.registry_id if event.trusted else None
    senders = _Senders(with_secret, {} if with_secret else _registries_by_host([(content, event.data)]))
    for row in _rows(senders, [(content, event.data)]):
        if row.state == EventState.QUARANTINED:
            raise ValidationError(row.error, code="not_understood")
        if RegistryEvent.objects.filter(key=row.key).exists():
            raise ValidationError("This event came a second time, and was understood then.", code="not_understood")
        return {name: getattr(row, name) for name in ("key", "registry_id", "action", "repository")}
    # It says nothing about manifests.
    return {"state": EventState.DONE, "due_at": None, "finished_at": timezone.now()}


def _host(event: Any) -> str:
    request = event.get("request") if isinstance(event, dict) else None
    host = request.get("host") if isinstance(request, dict) else None
    return storable(host)


def storable(text: Any) -> str:
    """Return at most 255 characters that every database takes; "" for what is no text."""
    return "".join(filter(str.isprintable, text[:255])) if isinstance(text, str) else ""


def _rows(senders: _Senders, events: list[tuple[Any, str]]) -> list[RegistryEvent]:
    rows = []
    for event, text in events:
        if not _is_event(event) or len(text) > KEPT_OF_QUARANTINED:
            host = _host(event)
            rows.append(_quarantined(senders.of(host), host, text, "This is not an event of a registry.",
                                     trusted=senders.with_secret is not None))  # fmt: skip
        elif not _is_irrelevant(event, trusted=senders.with_secret is not None):
            rows.append(_row(senders, event, text))
    return rows


def _is_event(event: Any) -> bool:
    return isinstance(event, dict) and isinstance(event.get("target"), dict) and isinstance(event.get("action"), str)


def _is_irrelevant(event: dict[str, Any], *, trusted: bool) -> bool:
    """Return whether an event is understood and says nothing about manifests, or is an echo of our own requests.

    A pull says only when it was, which is not believed without the secret.
    """
    target, action = event["target"], event["action"]
    if action == "mount":
        return True
    if action in {"push", "pull"} and str(target.get("mediaType", "")).startswith(BLOB_TYPES):
        return True
    if action != "pull":
        return False
    request = event.get("request")
    by_us = actor_name(event) in RESERVED_NAMES
    return by_us or not trusted or (isinstance(request, dict) and request.get("method") == "HEAD")


def actor_name(event: dict[str, Any]) -> str:
    actor = event.get("actor")
    return storable(actor.get("name")) if isinstance(actor, dict) else ""


def _row(senders: _Senders, event: dict[str, Any], text: str) -> RegistryEvent:
    host, trusted = _host(event), senders.with_secret is not None
    sender_id = senders.of(host)
    if sender_id is None:
        return _quarantined(None, host, text, f"No registry is known as {host or '(no host)'}.", trusted=trusted)
    problem = _problem(event)
    if problem:
        return _quarantined(sender_id, host, text, problem, trusted=trusted)
    return RegistryEvent(
        key=_key(sender_id, host, str(event.get("id") or "") or text),
        registry_id=sender_id,
        trusted=trusted,
        host=host,
        action=event["action"],
        repository=event["target"]["repository"],
        data=text,
    )


def _problem(event: dict[str, Any]) -> str:
    """Return why an event cannot be handled, "" if it can."""
    target = event["target"]
    if event.get("action") not in KNOWN_ACTIONS:
        return "The action is none that we know."
    repository = target.get("repository")
    if not _is_text(repository) or not 0 < len(repository) <= 255:
        return "The repository's name is missing or too long."
    if not all(_is_text(target.get(name, "")) for name in ("digest", "tag", "mediaType")):
        return "A field of the target is not text."
    if len(target.get("digest", "")) > 160 or len(target.get("tag", "")) > 128:
        return "The digest or the tag is too long."
    return _problem_of_push(target) if event["action"] == "push" else ""


def _problem_of_push(target: dict[str, Any]) -> str:
    if not target.get("mediaType", "").startswith(MANIFEST_TYPES):
        return "The media type is neither a manifest's nor a layer's."
    return "" if target.get("digest") else "A push without a digest."


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _quarantine_all(registry_id: int | None, body: bytes) -> list[RegistryEvent]:
    text = body[:KEPT_OF_QUARANTINED].decode(errors="replace").replace("\0", "\ufffd")
    why = "The body is too large." if len(body) > BIGGEST_BODY else "The body is not an envelope of notifications."
    return [_quarantined(registry_id, "", text, why, trusted=registry_id is not None)]


def _quarantined(registry_id: int | None, host: str, text: str, why: str, *, trusted: bool) -> RegistryEvent:
    return RegistryEvent(
        key=_key(registry_id, host, text),
        registry_id=registry_id,
        trusted=trusted,
        host=host,
        data=text[:KEPT_OF_QUARANTINED],
        state=EventState.QUARANTINED,
        due_at=None,
        error=why,
    )


def _key(registry_id: int | None, host: str, identity: str) -> str:
    sender = f"registry {registry_id}" if registry_id is not None else f"host {host}"
    return hashlib.sha256(f"{sender}\0{identity}".encode(errors="surrogatepass")).hexdigest()
