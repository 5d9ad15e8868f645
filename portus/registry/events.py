"""What a registry told us, and `intake` stored: what push, pull and delete mean to us.

`handle_due` takes one event after the other: a notification is a hint, so the registry is asked what is true before a
row changes, and everything an event changes commits together with its being done.
"""

import hashlib
import json
import logging
import os
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from portus.accounts.models import User
from portus.background.queue import nudge
from portus.registry import intake
from portus.registry.client import RegistryClient, RegistryError
from portus.registry.manifests import ManifestFacts, describe
from portus.registry.models import EventState, Registry, RegistryEvent
from portus.repositories import operations as repositories
from portus.repositories.operations import Pushed, Stale

logger = logging.getLogger(__name__)

QUARANTINE_ROWS = 1000
PURGED_AT_ONCE = 500
DONE_KEPT = timedelta(days=7)  # so long an event that is sent again is known
CLAIM = timedelta(minutes=5)  # well above the time-outs of all requests that one event takes
FIRST_PAUSE = 2  # seconds; doubles with every failed attempt
LONGEST_PAUSE = 600  # seconds
TRIES_WHEN_STALE = 8
RETRIABLE = frozenset({EventState.NEW, EventState.FAILED, EventState.QUARANTINED})


@dataclass(frozen=True)
class Notification:
    """What a stored event says."""

    action: str
    repository: str
    digest: str
    tag: str
    actor: str
    at: datetime
    trusted: bool


class _ClaimLost(Exception):
    """Another worker has the event now; whatever this one did is rolled back."""


def handle_due() -> int:
    """Handle events until none is due, oldest first; return how many were taken."""
    taken = 0
    while event := _claim_next():
        taken += 1
        try:
            _handle(event)
        except _ClaimLost:
            logger.info("Event %s was taken over by another worker.", event.pk)
        except RegistryError as error:
            _put_off(event, str(error))
        except Exception as error:
            logger.exception("Event %s could not be handled.", event.pk)
            _put_off(event, f"{type(error).__name__}: {error}")
    return taken


def purge() -> None:
    """Forget events that were handled long ago, and all but the newest of the quarantined."""
    old = RegistryEvent.objects.filter(state=EventState.DONE, finished_at__lt=timezone.now() - DONE_KEPT)
    while batch := list(old.values_list("pk", flat=True)[:PURGED_AT_ONCE]):
        RegistryEvent.objects.filter(pk__in=batch).delete()
    quarantined = RegistryEvent.objects.filter(state=EventState.QUARANTINED).order_by("-pk")
    oldest_kept = quarantined.values_list("pk", flat=True)[QUARANTINE_ROWS - 1 : QUARANTINE_ROWS].first()
    if oldest_kept is not None:
        quarantined.filter(pk__lt=oldest_kept).delete()


def release_claims_of_the_dead() -> None:
    """Take back what workers on this machine had in hand when they were killed; called before this one claims any."""
    mine = _worker_prefix()
    working = RegistryEvent.objects.filter(state=EventState.WORKING, claim__startswith=f"{_machine()}:")
    for pk, claim in working.values_list("pk", "claim"):
        owner = claim.rsplit(":", 1)[0]
        if owner == mine or not _is_alive(int(owner.rsplit(":", 1)[1])):
            RegistryEvent.objects.filter(pk=pk, claim=claim).update(state=EventState.NEW, due_at=timezone.now())


def retry(event: RegistryEvent) -> RegistryEvent:
    """Have an event handled now; return it as it is then. One that was not understood is read again.

    Raises ValidationError for one that is at work or done, or is still not understood.
    """
    if event.state not in RETRIABLE:
        raise ValidationError(f"This event is {EventState(event.state).label}.", code="not_retriable")
    changes: dict[str, Any] = {"due_at": timezone.now(), "state": EventState.NEW, "error": ""}
    if event.state == EventState.QUARANTINED:
        changes |= intake.read_again(event)
    unchanged = RegistryEvent.objects.filter(pk=event.pk, state=event.state, claim=event.claim, due_at=event.due_at)
    try:
        with transaction.atomic():
            taken = unchanged.update(**changes)
    except IntegrityError:  # it came a second time, at this very moment
        taken = 0
    if not taken:
        raise ValidationError("This event has just been taken up.", code="not_retriable")
    nudge("events")
    for name, value in changes.items():
        setattr(event, name, value)
    return event


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _worker_prefix() -> str:
    return f"{_machine()}:{os.getpid()}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _claim_next() -> RegistryEvent | None:
    """Take the oldest event that is due; nobody else gets it until the claim runs out."""
    while True:
        now = timezone.now()
        event = RegistryEvent.objects.due(now).order_by("due_at", "pk").first()
        if event is None:
            return None
        claim = f"{_worker_prefix()}:{secrets.token_hex(4)}"
        taken = RegistryEvent.objects.filter(pk=event.pk, state=event.state, claim=event.claim, due_at=event.due_at)
        if taken.update(state=EventState.WORKING, claim=claim, due_at=now + CLAIM, attempts=F("attempts") + 1):
            event.claim = claim
            event.attempts += 1
            return event


def _finish(event: RegistryEvent) -> None:
    """Mark the event as done, inside the transaction that did its work."""
    done = RegistryEvent.objects.filter(pk=event.pk, state=EventState.WORKING, claim=event.claim).update(
        state=EventState.DONE, due_at=None, claim="", error="", finished_at=timezone.now()
    )
    if not done:
        raise _ClaimLost


def _put_off(event: RegistryEvent, why: str) -> None:
    """Try again after a pause that doubles each time. An event is never given up."""
    pause = min(FIRST_PAUSE * 2 ** min(event.attempts - 1, 20), LONGEST_PAUSE)
    RegistryEvent.objects.filter(pk=event.pk, claim=event.claim).update(
        state=EventState.FAILED, claim="", error=why[:2000], due_at=timezone.now() + timedelta(seconds=pause)
    )
    logger.warning("Event %s is tried again in %s s: %s", event.pk, pause, why)
    nudge("events", delay_seconds=pause)


def _handle(event: RegistryEvent) -> None:
    notification = _read(event)
    registry = event.registry
    if registry is None:
        msg = "an event without a registry is quarantined when it arrives"
        raise AssertionError(msg)
    client = RegistryClient(registry)
    for _ in range(TRIES_WHEN_STALE):
        # What the registry says is true at the moment of asking; if somebody else has written meanwhile, ask again.
        revision = repositories.revision_of(registry, notification.repository)
        try:
            _apply(event, registry, client, notification, revision)
        except Stale:
            continue
        return
    msg = "the repository changes faster than it can be read"
    raise RuntimeError(msg)


def _read(event: RegistryEvent) -> Notification:
    data = json.loads(event.data)
    target = data["target"]
    return Notification(
        action=event.action,
        repository=event.repository,
        digest=target.get("digest", ""),
        tag=target.get("tag", ""),
        actor=intake.actor_name(data),
        at=min(_moment(data.get("timestamp")) or event.received_at, timezone.now()),
        trusted=event.trusted,
    )


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    # A clock before the first registry was written is broken; the moment of receipt is nearer to the truth.
    return moment if moment.tzinfo and moment.year > 2000 else None


def _apply(
    event: RegistryEvent, registry: Registry, client: RegistryClient, said: Notification, revision: int | None
) -> None:
    if said.action == "delete":
        gone = _confirmed_gone(client, registry, said)
        with transaction.atomic():
            if gone:
                author, name = _author(said)
                repositories.record_removal(
                    registry, said.repository, revision,
                    digest=said.digest, tag=said.tag, at=said.at, actor=author, actor_name=name,
                )  # fmt: skip
            _finish(event)
        return
    if said.action == "pull" and _record_pull(event, registry, said):
        return
    pushed = _look(client, said)
    with transaction.atomic():
        if pushed:
            author, name = _author(said) if said.action == "push" else (None, "")
            repositories.record_push(
                registry, said.repository, revision, pushed,
                at=said.at if said.action == "push" else None, author=author, author_name=name,
            )  # fmt: skip
            if said.action == "pull":
                repositories.record_pull(registry, said.repository, said.digest, said.tag, said.at)
        _finish(event)


def _record_pull(event: RegistryEvent, registry: Registry, said: Notification) -> bool:
    """Set "last pulled" of what we know; return False for a manifest that we have yet to learn of."""
    with transaction.atomic():
        if not repositories.record_pull(registry, said.repository, said.digest, said.tag, said.at):
            return False
        _finish(event)
    return True


def _author(said: Notification) -> tuple[User | None, str]:
    """Return who did it, and her name. An unknown one has only a name; who sent no secret is not believed at all."""
    if not said.trusted or not said.actor:
        return None, ""
    return User.objects.named(said.actor).first(), said.actor


def _look(client: RegistryClient, said: Notification) -> Pushed | None:
    """Ask the registry what there is now: the manifest, and where its tag points. None when the manifest is gone."""
    manifest = _facts(client, said.repository, said.digest) if said.digest else None
    points_at = client.head_manifest(said.repository, said.tag) if said.tag else None
    current = manifest if points_at == said.digest else None
    if points_at and points_at != said.digest:
        current = _facts(client, said.repository, points_at)
    if manifest is None and current is None:
        return None
    return Pushed(manifest=manifest, tag=said.tag, tagged=current)


def _facts(client: RegistryClient, repository: str, digest: str) -> ManifestFacts | None:
    stored = client.manifest(repository, digest)
    return describe(client, repository, stored) if stored else None


def _confirmed_gone(client: RegistryClient, registry: Registry, said: Notification) -> bool:
    """Return whether the registry confirms a deletion: of a manifest, of a tag, or of the whole repository."""
    reference = said.digest or said.tag
    if reference:
        return client.head_manifest(said.repository, reference) is None
    if client.has_repository(said.repository):
        return False
    # A repository without tags may still hold manifests that are pulled by digest.
    known = repositories.digests_of(registry, said.repository)
    return all(client.head_manifest(said.repository, digest) is None for digest in known)
