"""What a registry tells us and what becomes of it: what is refused or set aside first, then pushes, pulls, deletions.

The registry is a real one without authentication; the notifications are written here, so that they can be late, twice,
wrong or lost.
"""

import json
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from portus.activities.models import Activity
from portus.registry import events, intake
from portus.registry.models import EventState, RegistryEvent
from portus.registry.operations import secret_digest
from portus.repositories.models import Manifest, Repository, Tag
from portus.teams.models import Namespace, Visibility
from portus.tests.servers import images
from portus.tests.servers.client import RegistryClient
from portus.tests.servers.ports import free_port

pytestmark = pytest.mark.django_db

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


@pytest.fixture
def namespace(cast, make_namespace):
    return make_namespace("team", team=cast.team)


@pytest.fixture
def secured(registry):
    registry.notification_secret_digest = secret_digest(SECRET)
    registry.save()
    return registry


@pytest.fixture
def live(secured, registry_binary, start_registry):
    """A running registry whose row is the one of the fixture `registry`."""
    running = start_registry(registry_binary)
    secured.hostname = running.address
    secured.save()
    return running


@pytest.fixture
def container_client(live):
    with RegistryClient(live.address) as client:
        yield client


def states():
    return [event.state for event in RegistryEvent.objects.order_by("pk")]


def content():
    """The catalogue as the registry would write it: repository → tag → digest."""
    found = {}
    for tag in Tag.objects.select_related("repository__namespace", "manifest"):
        found.setdefault(tag.repository.full_name, {})[tag.name] = tag.manifest.digest
    return found


# What is refused, and what is set aside


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"Authorization": "Basic eDp5"}]
)
def test_without_the_right_secret_nothing_is_stored(client, secured, headers):
    response = post(client, notification("push", host=secured.hostname, image=images.oci_image()), headers=headers)

    assert response.status_code == 401
    assert not RegistryEvent.objects.exists()


def test_a_registry_with_a_secret_is_not_spoken_for_while_another_has_none(client, secured, make_registry):
    make_registry("open", "open.test")

    refused = post(client, notification("push", host=secured.hostname, image=images.oci_image()), headers={})
    accepted = post(client, notification("push", host="open.test", image=images.oci_image()), headers={})

    assert (refused.status_code, accepted.status_code) == (401, 202)
    assert RegistryEvent.objects.get().trusted is False


def test_the_secret_tells_which_registry_speaks_whatever_the_host_says(client, secured, make_registry):
    make_registry("other", "other.test")

    post(client, notification("push", host="other.test", image=images.oci_image()))

    assert RegistryEvent.objects.get().registry == secured


def test_only_post_is_answered(client, secured):
    assert client.get("/v2/webhooks/events", headers=HEADERS).status_code == 405


JUNK = [
    b"{",
    b"[]",
    b"null",
    b"{}",
    b'{"events": 7}',
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"events": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"events": [' + b"9" * 5000 + b"]}",
    b"x" * 10_000_000,
    b"x" * (intake.BIGGEST_BODY + 1),
]


@pytest.mark.parametrize("body", JUNK, ids=lambda body: f"{body[:12]!r}…{len(body)}")
def test_junk_is_quarantined_and_never_refused(client, secured, body):
    response = client.post("/v2/webhooks/events", body, content_type="application/json", headers=HEADERS)

    assert response.status_code == 202
    event = RegistryEvent.objects.get()
    assert event.state == EventState.QUARANTINED
    assert len(event.data) <= intake.KEPT_OF_QUARANTINED
    assert event.error


WRONG = [
    {"action": "fork"},
    {"action": None},
    {"action": ["push"]},
    {"action": {"push": 1}},
    {"padding": "x" * 70_000},
    {"target": None},
    {"target": {}},
    {"target": {"repository": 7}},
    {"target": {"repository": ""}},
    {"target": {"repository": "x" * 256, "digest": "sha256:0", "mediaType": images.OCI_MANIFEST}},
    {"target": {"repository": "team/\0", "digest": "sha256:0", "mediaType": images.OCI_MANIFEST}},
    {"target": {"repository": "team/\ud800", "digest": "sha256:0", "mediaType": images.OCI_MANIFEST}},
    {"target": {"repository": "team/app", "digest": 7, "mediaType": images.OCI_MANIFEST}},
    {"target": {"repository": "team/app", "digest": "sha256:" + "0" * 200, "mediaType": images.OCI_MANIFEST}},
    {"target": {"repository": "team/app", "digest": "sha256:0", "tag": "t" * 129, "mediaType": images.OCI_MANIFEST}},
    {"target": {"repository": "team/app", "digest": "sha256:0", "mediaType": "text/html"}},
    {"target": {"repository": "team/app", "digest": "sha256:0"}},
    {"target": {"repository": "team/app", "mediaType": images.OCI_MANIFEST}},
]


@pytest.mark.parametrize("wrong", WRONG, ids=json.dumps)
def test_one_malformed_event_is_set_aside_and_the_rest_of_the_batch_is_kept(client, secured, wrong):
    good = notification("push", host=secured.hostname, image=images.oci_image(), tag="1")

    response = post(client, good | {"id": "bad"} | wrong, good)

    assert response.status_code == 202
    assert sorted(states()) == [EventState.NEW, EventState.QUARANTINED]


@pytest.mark.parametrize("entry", [7, None, "text", [], {"target": []}])
def test_an_entry_that_is_no_event_is_set_aside(client, secured, entry):
    post(client, entry, notification("push", host=secured.hostname, image=images.oci_image()))

    assert sorted(states()) == [EventState.NEW, EventState.QUARANTINED]


def test_events_of_an_unknown_registry_are_set_aside(client, registry):
    response = post(client, notification("push", host="nobody.test", image=images.oci_image()), headers={})

    assert response.status_code == 202
    assert RegistryEvent.objects.get().error == "No registry is known as nobody.test."


IRRELEVANT = [
    ("push", {"mediaType": "application/octet-stream"}, {}),
    ("push", {"mediaType": images.DOCKER_LAYER}, {}),
    ("push", {"mediaType": images.OCI_LAYER}, {}),
    ("push", {"mediaType": images.OCI_CONFIG}, {}),
    ("mount", {"mediaType": images.OCI_LAYER}, {}),
    ("pull", {"mediaType": images.OCI_LAYER}, {}),
    ("pull", {"mediaType": images.OCI_MANIFEST}, {"actor": {"name": "portus"}}),
    ("pull", {"mediaType": images.OCI_MANIFEST}, {"request": {"method": "HEAD", "host": "x"}}),
]


@pytest.mark.parametrize(("action", "target", "more"), IRRELEVANT)
def test_blobs_heads_and_our_own_pulls_are_not_even_stored(client, secured, action, target, more):
    target = {"digest": "sha256:0", **target}

    response = post(client, notification(action, host=secured.hostname, target=target) | more)

    assert response.status_code == 202
    assert not RegistryEvent.objects.exists()


def test_the_same_event_twice_is_stored_once(client, secured):
    told = notification("push", host=secured.hostname, image=images.oci_image())

    post(client, told)
    post(client, told, told)

    assert len(states()) == 1


@pytest.mark.parametrize("identity", ["\ud800", 7, ["a"], {"a": 1}, "x" * 10_000])
def test_an_odd_id_is_an_id(client, secured, identity):
    told = notification("push", host=secured.hostname, image=images.oci_image()) | {"id": identity}

    assert post(client, told, told).status_code == 202
    assert states() == [EventState.NEW]


@pytest.mark.parametrize("action", ["push", "pull"])
@pytest.mark.parametrize("actor", [["portus"], {"portus": 1}])
def test_an_odd_actor_is_nobody(client, secured, action, actor):
    told = notification(action, host=secured.hostname, image=images.oci_image(), actor=actor)

    assert post(client, told).status_code == 202
    assert states() == [EventState.NEW]


def test_a_body_without_a_length_is_refused_and_not_lost(client, secured):
    # Django reads nothing of a chunked body; answered with 202 it would be gone.
    response = client.post("/v2/webhooks/events", b"{}", content_type="text/plain", headers=HEADERS, CONTENT_LENGTH="")

    assert response.status_code == 411
    assert not RegistryEvent.objects.exists()


def test_without_a_secret_an_envelope_holds_few_events(client, registry, django_assert_max_num_queries):
    told = [notification("push", host=f"host{number}", image=images.oci_image()) for number in range(101)]

    with django_assert_max_num_queries(8):
        assert post(client, *told[:100], headers={}).status_code == 202
        assert post(client, *told, headers={}).status_code == 202

    assert RegistryEvent.objects.filter(error="The body is not an envelope of notifications.").count() == 1


def test_events_without_an_id_are_told_apart_by_what_they_say(client, secured):
    told = notification("push", host=secured.hostname, image=images.oci_image(), tag="1")
    del told["id"]
    other = {**told, "target": {**told["target"], "tag": "2"}}

    post(client, told, other)
    post(client, told)

    assert len(states()) == 2


def test_the_quarantine_is_bounded(client, secured, monkeypatch):
    monkeypatch.setattr(events, "QUARANTINE_ROWS", 3)
    for number in range(5):
        client.post("/v2/webhooks/events", f"junk {number}", content_type="text/plain", headers=HEADERS)

    events.purge()

    assert [event.data for event in RegistryEvent.objects.order_by("pk")] == ["junk 2", "junk 3", "junk 4"]


def test_what_was_handled_is_remembered_for_a_week(client, secured):
    for days in (6, 8):
        RegistryEvent.objects.create(
            key=str(days), registry=secured, trusted=True, state=EventState.DONE, due_at=None,
            finished_at=timezone.now() - timedelta(days=days),
        )  # fmt: skip

    events.purge()

    assert RegistryEvent.objects.get().key == "6"


def test_intake_costs_two_statements_for_one_event_and_for_a_batch(client, secured, django_assert_num_queries):
    for count in (1, 50):
        told = [notification("push", host=secured.hostname, image=images.oci_image()) for _ in range(count)]
        with django_assert_num_queries(2):
            post(client, *told)


# Pushes

KINDS = {
    "docker": images.docker_image("a"),
    "oci": images.oci_image("a"),
    "index": images.oci_index("a"),
    "list": images.docker_list("a"),
    "artifact": images.artifact(None, '{"a": 1}'),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_push_is_in_the_catalogue(client, live, container_client, cast, namespace, kind):
    image = KINDS[kind]
    container_client.push(image, "team/app", "1.0")

    post(client, notification("push", host=live.address, image=image, tag="1.0"))
    events.handle_due()

    tag = Tag.objects.get()
    manifest = tag.manifest
    assert states() == [EventState.DONE]
    assert (tag.repository.full_name, tag.repository.namespace, tag.name) == ("team/app", namespace, "1.0")
    assert tag.repository.tag_count == 1
    assert (manifest.digest, manifest.media_type) == (image.digest, image.media_type)
    assert manifest.size == sum(part.size for part in image.everything())
    assert manifest.platforms == [part.platform for part in image.everything() if part.platform]
    assert [entry.digest for entry in manifest.entries.order_by("pk")] == [child.digest for child in image.children]
    assert (tag.author, tag.author_name) == (cast.alice, "alice")
    assert tag.pushed_at == manifest.pushed_at == NOON
    activity = Activity.objects.get(key="repository.push")
    assert (activity.actor, activity.subject_name, activity.recipient_name) == (cast.alice, "team/app", "1.0")


def test_an_artifact_names_its_subject_and_type(client, live, container_client, namespace):
    image = images.oci_image()
    sbom = images.artifact(image)
    container_client.push(image, "team/app", "1.0")
    container_client.push(sbom, "team/app")

    post(client, notification("push", host=live.address, image=image, tag="1.0"))
    post(client, notification("push", host=live.address, image=sbom))
    events.handle_due()

    stored = Manifest.objects.get(digest=sbom.digest)
    assert (stored.subject_digest, stored.artifact_type) == (image.digest, images.SPDX)


def test_a_push_without_a_tag_makes_a_manifest_and_never_a_tag(client, live, container_client, namespace):
    image = images.oci_image()
    container_client.push(image, "team/app")

    post(client, notification("push", host=live.address, image=image))
    events.handle_due()

    assert Manifest.objects.get().digest == image.digest
    assert not Tag.objects.exists()


def test_an_attachment_is_a_tag_that_is_not_counted(client, live, container_client, namespace):
    image = images.oci_image()
    name = image.digest.replace(":", "-") + ".sig"
    container_client.push(image, "team/app", name)

    post(client, notification("push", host=live.address, image=image, tag=name))
    events.handle_due()

    assert Tag.objects.get().attachment is True
    assert Repository.objects.get().tag_count == 0


@pytest.mark.parametrize("actor", ["nobody", "", None, 7, "x" * 300, "nul\0", "\ud800", ["alice"], {"alice": 1}])
def test_an_unknown_actor_never_drops_a_push(client, live, container_client, namespace, actor):
    image = images.oci_image()
    container_client.push(image, "team/app", "1.0")

    post(client, notification("push", host=live.address, image=image, tag="1.0", actor=actor))
    events.handle_due()

    assert states() == [EventState.DONE]
    assert Tag.objects.get().author is None
    assert Activity.objects.get(key="repository.push").actor_name in {str(actor)[:255], "nul", "someone"}


def test_who_sent_no_secret_is_believed_what_is_there_but_not_who_did_it(
    client, live, registry, container_client, namespace
):
    registry.notification_secret_digest = None
    registry.save()
    image = images.oci_image()
    container_client.push(image, "team/app", "1.0")

    post(client, notification("push", host=live.address, image=image, tag="1.0"), headers={})
    post(client, notification("pull", host=live.address, image=image, tag="1.0"), headers={})
    post(client, notification("push", host=live.address, image=images.oci_image("forged"), tag="1.0"), headers={})
    post(client, notification("delete", host=live.address, image=image), headers={})
    events.handle_due()

    tag = Tag.objects.get()
    assert tag.manifest.digest == image.digest
    assert (tag.author, tag.author_name, tag.pulled_at) == (None, "", None)


def test_a_name_without_a_slash_is_in_the_global_namespace(client, live, container_client, registry):
    image = images.oci_image()
    container_client.push(image, "busybox", "1")

    post(client, notification("push", "busybox", host=live.address, image=image, tag="1"))
    events.handle_due()

    repository = Repository.objects.get()
    assert repository.namespace == registry.namespaces.get(global_marker=True)
    assert repository.full_name == "busybox"


def test_a_namespace_that_appears_unasked_waits_for_an_administrator(client, live, container_client, cast):
    image = images.oci_image()
    container_client.push(image, "strange/deep/app", "1")

    post(client, notification("push", "strange/deep/app", host=live.address, image=image, tag="1"))
    events.handle_due()

    namespace = Namespace.objects.get(name="strange")
    assert (namespace.team, namespace.visibility) == (None, Visibility.PRIVATE)
    assert Repository.objects.get().name == "deep/app"


def test_a_tag_that_is_pushed_again_moves(client, live, container_client, cast, namespace):
    old, new = images.oci_image("old"), images.oci_image("new")
    for image, actor, at in ((old, "alice", NOON), (new, "bob", NOON + timedelta(hours=1))):
        container_client.push(image, "team/app", "latest")
        post(client, notification("push", host=live.address, image=image, tag="latest", actor=actor, at=at))
        events.handle_due()

    tag = Tag.objects.get()
    assert (tag.manifest.digest, tag.author, tag.pushed_at) == (new.digest, cast.bob, NOON + timedelta(hours=1))
    assert Manifest.objects.count() == 2
    assert Activity.objects.filter(key="repository.push").count() == 2


def test_events_out_of_order_end_in_the_state_of_the_registry(client, live, container_client, cast, namespace):
    old, new = images.oci_image("old"), images.oci_image("new")
    container_client.push(old, "team/app", "latest")
    container_client.push(new, "team/app", "latest")
    later = notification("push", host=live.address, image=new, tag="latest", actor="bob", at=NOON + timedelta(hours=1))
    earlier = notification("push", host=live.address, image=old, tag="latest", actor="alice", at=NOON)

    post(client, later)
    events.handle_due()
    post(client, earlier)
    events.handle_due()

    tag = Tag.objects.get()
    assert (tag.manifest.digest, tag.author, tag.pushed_at) == (new.digest, cast.bob, NOON + timedelta(hours=1))
    assert Manifest.objects.get(digest=old.digest).author == cast.alice


def test_a_push_that_was_deleted_before_we_looked_leaves_nothing(client, live, container_client, namespace):
    image = images.oci_image()
    container_client.push(image, "team/app", "1.0")
    assert container_client.delete_manifest("team/app", image.digest).status_code == 202

    post(client, notification("push", host=live.address, image=image, tag="1.0"))
    events.handle_due()

    assert states() == [EventState.DONE]
    assert not Repository.objects.exists()


@pytest.mark.parametrize("stamp", ["yesterday", None, 7, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01"])
def test_a_time_stamp_that_cannot_be_true_is_replaced(client, live, container_client, namespace, stamp):
    image = images.oci_image()
    container_client.push(image, "team/app", "1.0")

    post(client, notification("push", host=live.address, image=image, tag="1.0", timestamp=stamp))
    events.handle_due()

    assert timezone.now() - Tag.objects.get().pushed_at < timedelta(minutes=1)


# Pulls


def test_a_pull_sets_when_the_tag_and_its_manifest_were_last_pulled(client, live, container_client, namespace):
    image = images.oci_image()
    container_client.push(image, "team/app", "1.0")
    post(client, notification("push", host=live.address, image=image, tag="1.0"))
    for at in (NOON + timedelta(hours=2), NOON + timedelta(hours=1)):
        post(client, notification("pull", host=live.address, image=image, tag="1.0", actor="bob", at=at))
    events.handle_due()

    tag = Tag.objects.get()
    assert tag.pulled_at == tag.manifest.pulled_at == NOON + timedelta(hours=2)
    assert tag.author_name == "alice"
    assert Activity.objects.filter(key__contains="pull").count() == 0


def test_a_pull_by_digest_leaves_the_tag_alone(client, live, container_client, namespace):
    image = images.oci_image()
    container_client.push(image, "team/app", "1.0")
    post(client, notification("push", host=live.address, image=image, tag="1.0"))
    post(client, notification("pull", host=live.address, image=image))
    events.handle_due()

    tag = Tag.objects.get()
    assert (tag.pulled_at, tag.manifest.pulled_at) == (None, NOON)


def test_a_pull_of_what_we_do_not_know_teaches_us_that_it_is_there(client, live, container_client, namespace):
    image = images.oci_image()
    container_client.push(image, "team/app", "1.0")

    post(client, notification("pull", host=live.address, image=image, tag="1.0"))
    events.handle_due()

    tag = Tag.objects.get()
    assert (tag.author, tag.pushed_at, tag.pulled_at) == (None, None, NOON)
    assert not Activity.objects.filter(key="repository.push").exists()


# Deletions


@pytest.fixture
def two_tags(client, live, container_client, namespace):
    """`a` and `b` share one image, `c` has another; the image itself is returned."""
    shared, other = images.oci_image("shared"), images.oci_image("other")
    for image, tag in ((shared, "a"), (shared, "b"), (other, "c")):
        container_client.push(image, "team/app", tag)
        post(client, notification("push", host=live.address, image=image, tag=tag))
    events.handle_due()
    return shared, other


def test_an_image_that_is_deleted_takes_its_tags_along(client, live, container_client, cast, two_tags):
    shared, other = two_tags
    container_client.delete_manifest("team/app", shared.digest)

    post(client, notification("delete", host=live.address, actor="bob", target={"digest": shared.digest}))
    events.handle_due()

    assert content() == {"team/app": {"c": other.digest}} == live.repositories()
    assert Repository.objects.get().tag_count == 1
    rows = Activity.objects.filter(key="repository.delete").order_by("pk")
    assert [(row.recipient_name, row.actor) for row in rows] == [("a", cast.bob), ("b", cast.bob)]


def test_a_deletion_that_the_registry_does_not_confirm_changes_nothing(client, live, two_tags):
    before = content()

    post(client, notification("delete", host=live.address, target={"digest": two_tags[0].digest}))
    post(client, notification("delete", host=live.address, target={"tag": "c"}))
    post(client, notification("delete", host=live.address))
    events.handle_due()

    assert content() == before
    assert set(states()) == {EventState.DONE}


def test_a_tag_that_is_deleted_leaves_its_siblings(client, live, container_client, two_tags):
    if live.binary.major < 3:
        pytest.skip("distribution 2.x deletes no single tag")
    assert container_client.delete_manifest("team/app", "a").status_code == 202

    post(client, notification("delete", host=live.address, target={"tag": "a"}))
    events.handle_due()

    assert set(content()["team/app"]) == {"b", "c"}
    assert Manifest.objects.count() == 2


def test_a_deletion_without_a_digest_never_touches_anything_else(client, live, two_tags):
    post(client, notification("delete", host=live.address, target={"tag": "never there"}))
    events.handle_due()

    assert set(content()["team/app"]) == {"a", "b", "c"}


def test_the_last_image_takes_the_repository_along(client, live, container_client, two_tags):
    for image in two_tags:
        container_client.delete_manifest("team/app", image.digest)
        post(client, notification("delete", host=live.address, target={"digest": image.digest}))
    events.handle_due()

    assert not Repository.objects.exists()
    assert Activity.objects.get(key="namespace.delete").recipient_name == "team/app"


def test_a_late_deletion_does_not_take_what_was_pushed_again(client, live, container_client, two_tags):
    shared = two_tags[0]
    container_client.delete_manifest("team/app", shared.digest)
    told = notification("delete", host=live.address, target={"digest": shared.digest})
    container_client.push(shared, "team/app", "a")

    post(client, told)
    events.handle_due()

    assert "a" in content()["team/app"]


def test_deleting_what_we_never_knew_is_done(client, live, namespace):
    post(client, notification("delete", "team/other", host=live.address, image=images.oci_image()))
    events.handle_due()

    assert states() == [EventState.DONE]


# Trouble


def test_an_unreachable_registry_is_asked_again_with_growing_pauses(client, secured, namespace):
    secured.hostname = f"127.0.0.1:{free_port()}"
    secured.save()
    post(client, notification("push", host="any", image=images.oci_image(), tag="1"))

    pauses = []
    for _ in range(3):
        events.handle_due()
        event = RegistryEvent.objects.get()
        assert (event.state, event.claim) == (EventState.FAILED, "")
        assert "refuses the connection" in event.error
        pauses.append(round((event.due_at - timezone.now()).total_seconds()))
        RegistryEvent.objects.update(due_at=timezone.now())

    assert pauses == [2, 4, 8]


def test_an_event_that_failed_is_handled_once_the_registry_is_back(client, live, container_client, namespace):
    image = images.oci_image()
    container_client.push(image, "team/app", "1.0")
    live.stop()
    post(client, notification("push", host=live.address, image=image, tag="1.0"))
    events.handle_due()
    assert states() == [EventState.FAILED]

    live.start()
    RegistryEvent.objects.update(due_at=timezone.now())
    events.handle_due()

    assert content() == live.repositories()


def test_an_event_that_is_in_somebodys_hands_is_left_to_them_until_the_claim_runs_out(
    client, live, container_client, namespace
):
    image = images.oci_image()
    container_client.push(image, "team/app", "1.0")
    post(client, notification("push", host=live.address, image=image, tag="1.0"))
    RegistryEvent.objects.update(
        state=EventState.WORKING, claim="elsewhere:1:aa", due_at=timezone.now() + timedelta(seconds=30)
    )

    assert events.handle_due() == 0
    RegistryEvent.objects.update(due_at=timezone.now())
    assert events.handle_due() == 1
    assert content() == live.repositories()


def test_claims_of_dead_workers_on_this_machine_are_taken_back_at_once(client, secured):
    post(client, notification("push", host="any", image=images.oci_image(), tag="1"))
    dead = 2**22 + 1  # above the highest process id
    for claim, freed in ((f"{events._machine()}:{dead}:aa", True), (f"{events._machine()}:1:aa", False),
                         (f"00000000:{dead}:aa", False)):  # fmt: skip
        RegistryEvent.objects.update(
            state=EventState.WORKING, claim=claim, due_at=timezone.now() + timedelta(minutes=5)
        )
        events.release_claims_of_the_dead()
        assert (states() == [EventState.NEW]) is freed


def test_a_worker_whose_claim_was_taken_over_writes_nothing(client, live, container_client, namespace, monkeypatch):
    image = images.oci_image()
    container_client.push(image, "team/app", "1.0")
    post(client, notification("push", host=live.address, image=image, tag="1.0"))
    looked = events._look

    def look_and_lose(*arguments):
        RegistryEvent.objects.update(claim="somebody else")
        return looked(*arguments)

    monkeypatch.setattr(events, "_look", look_and_lose)
    events.handle_due()

    assert not Repository.objects.exists()
    assert RegistryEvent.objects.get().claim == "somebody else"


@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once_do_everything_once(client, live, container_client, cast, make_namespace):
    make_namespace("team", team=cast.team)
    pushed = [images.oci_image(f"image {number}") for number in range(6)]
    for number, image in enumerate(pushed):
        for tag in ("latest", f"v{number}"):
            container_client.push(image, "team/app", tag)
            post(client, notification("push", host=live.address, image=image, tag=tag))

    def work():
        try:
            while RegistryEvent.objects.exclude(due_at=None).exists():
                RegistryEvent.objects.filter(state=EventState.FAILED).update(due_at=timezone.now())
                events.handle_due()
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert content() == live.repositories()
    assert Activity.objects.filter(key="repository.push").count() == 12
    assert Repository.objects.get().tag_count == 7


ODD_MANIFESTS = {
    "nested": b'{"odd": ' + b"[" * 3000 + b"]" * 3000 + b", ",
    "long number": b'{"odd": ' + b"9" * 5000 + b", ",
    "spoilt text": b'{"odd": "\xff", ',
}


@pytest.mark.parametrize("kind", ODD_MANIFESTS)
def test_no_image_hides_behind_content_that_only_registries_read(client, live, container_client, namespace, kind):
    plain = images.oci_image()
    odd = replace(plain, manifest=replace(plain.manifest, data=ODD_MANIFESTS[kind] + plain.manifest.data[1:]))
    container_client.push(odd, "team/app", "1.0")

    post(client, notification("push", host=live.address, image=odd, tag="1.0"))
    events.handle_due()

    assert states() == [EventState.DONE]
    assert content() == {"team/app": {"1.0": odd.digest}}
    assert Manifest.objects.get().media_type == images.OCI_MANIFEST
