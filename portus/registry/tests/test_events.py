"""What becomes of the events that arrived: pushes, pulls, deletions.

The registry is a real one without authentication.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from portus.activities.models import Activity
from portus.registry import events
from portus.registry.models import EventState
from portus.registry.tests.notifications import NOON, content, notification, post, states
from portus.repositories.models import Manifest, Repository, Tag
from portus.teams.models import Namespace, Visibility
from portus.tests.servers import images

pytestmark = pytest.mark.django_db


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


def test_one_image_in_two_namespaces_is_two(client, live, container_client, namespace, make_namespace, cast):
    make_namespace("crew", team=cast.empty_team)
    image = images.oci_image()
    for name in ("team/app", "crew/app"):
        container_client.push(image, name, "1.0")
        post(client, notification("push", name, host=live.address, image=image, tag="1.0"))
    events.handle_due()
    assert content() == {"team/app": {"1.0": image.digest}, "crew/app": {"1.0": image.digest}} == live.repositories()

    container_client.delete_manifest("team/app", image.digest)
    post(client, notification("delete", host=live.address, target={"digest": image.digest}))
    events.handle_due()

    assert content() == {"crew/app": {"1.0": image.digest}}


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


@pytest.mark.parametrize(
    ("actor", "name"),
    [("nobody", "nobody"), ("x" * 300, "x" * 255), ("nul\0", "nul"), ("", "someone"), ("\ud800", "someone"),
     (None, "someone"), (7, "someone"), (["alice"], "someone"), ({"alice": 1}, "someone")],
)  # fmt: skip
def test_an_unknown_actor_never_drops_a_push(client, live, container_client, namespace, actor, name):
    image = images.oci_image()
    container_client.push(image, "team/app", "1.0")

    post(client, notification("push", host=live.address, image=image, tag="1.0", actor=actor))
    events.handle_due()

    assert states() == [EventState.DONE]
    assert Tag.objects.get().author is None
    assert Activity.objects.get(key="repository.push").actor_name == name


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
