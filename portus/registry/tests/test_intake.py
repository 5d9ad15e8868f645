"""What a registry tells us arrives: what is refused, what is set aside, what is kept."""

import json

import pytest

from portus.registry import intake
from portus.registry.models import EventState, RegistryEvent
from portus.registry.tests.notifications import HEADERS, notification, post, states
from portus.tests.servers import images

pytestmark = pytest.mark.django_db


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


def test_without_a_secret_a_registry_is_known_by_its_own_name_and_by_its_external_one(client, registry, make_registry):
    other = make_registry("other", "other.test", external_hostname="hub.example")

    for host in (registry.hostname, "other.test", "hub.example"):
        post(client, notification("push", host=host, image=images.oci_image()), headers={})

    assert [event.registry for event in RegistryEvent.objects.order_by("pk")] == [registry, other, other]
    assert set(states()) == {EventState.NEW}


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


def test_intake_costs_two_statements_for_one_event_and_for_a_batch(client, secured, django_assert_num_queries):
    for count in (1, 50):
        told = [notification("push", host=secured.hostname, image=images.oci_image()) for _ in range(count)]
        with django_assert_num_queries(2):
            post(client, *told)
