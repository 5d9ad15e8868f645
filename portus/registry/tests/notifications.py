"""What a registry would tell us, written here, so that it can be late, twice, wrong or lost."""

import json
import uuid
from datetime import UTC, datetime

from portus.registry.models import RegistryEvent
from portus.repositories.models import Tag

SECRET = "a secret of the tests"
HEADERS = {"Authorization": f"Bearer {SECRET}"}
NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def notification(action, repository="team/app", *, host, image=None, tag=None, actor="alice", at=NOON, **more):
    target = {"repository": repository, **more.pop("target", {})}
    if image is not None:
        target |= {"digest": image.digest, "mediaType": image.media_type}
    if tag:
        target["tag"] = tag
    return {
        "id": str(uuid.uuid4()),
        "timestamp": at.isoformat().replace("+00:00", ".000000123Z"),  # nanoseconds, as Go writes them
        "action": action,
        "target": target,
        "request": {"host": host, "method": {"push": "PUT", "delete": "DELETE"}.get(action, "GET")},
        "actor": {"name": actor},
        **more,
    }


def post(client, *told, headers=HEADERS):
    body = json.dumps({"events": told}) if told else "{}"
    return client.post(
        "/v2/webhooks/events", body, content_type="application/vnd.docker.distribution.events.v1+json", headers=headers
    )


def states():
    return [event.state for event in RegistryEvent.objects.order_by("pk")]


def content():
    """The catalogue as the registry would write it: repository → tag → digest."""
    found = {}
    for tag in Tag.objects.select_related("repository__namespace", "manifest"):
        found.setdefault(tag.repository.full_name, {})[tag.name] = tag.manifest.digest
    return found
