"""What registries told us, for administrators: the list, and another try."""

import json

import pytest
from django.utils import timezone

from portus.registry import events
from portus.registry.models import EventState, RegistryEvent
from portus.testing import REGISTRY_HOST

pytestmark = pytest.mark.django_db

FIELDS = [
    "id", "registry_id", "host", "trusted", "action", "repository", "state", "attempts", "error", "received_at",
    "due_at", "finished_at",
]  # fmt: skip


def push(host="unknown.test", **target):
    """A notification that changes nothing but itself: there is no such manifest."""
    return json.dumps(
        {
            "id": "1",
            "action": "push",
            "target": {
                "repository": "team/app",
                "digest": f"sha256:{'a' * 64}",
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                **target,
            },
            "request": {"host": host},
        }
    )


@pytest.fixture
def make_event(registry):
    def make(state, **fields):
        defaults = {
            "key": f"{RegistryEvent.objects.count():064}", "registry": registry, "trusted": True, "action": "push",
            "repository": "team/app", "data": push(), "state": state,
        }  # fmt: skip
        if state in {EventState.DONE, EventState.QUARANTINED}:
            defaults["due_at"] = None
        return RegistryEvent.objects.create(**{**defaults, **fields})

    return make


def retry(as_user, event):
    return as_user("ada").post(f"/registry_events/{event.pk}/retry", {})


def test_what_an_event_looks_like(as_user, make_event, registry):
    event = make_event(EventState.FAILED, error="The registry refuses.", attempts=3)

    (body,) = as_user("ada").get("/registry_events").json()

    assert list(body) == FIELDS
    assert (body["id"], body["registry_id"], body["state"], body["attempts"], body["error"]) == (
        event.pk, registry.pk, "failed", 3, "The registry refuses.",
    )  # fmt: skip


def test_what_was_sent_is_not_shown(as_user, make_event):
    make_event(EventState.QUARANTINED, data='{"token": "very secret"}')

    assert "secret" not in json.dumps(as_user("ada").get("/registry_events").json())


@pytest.mark.parametrize("state", list(EventState))
def test_they_are_listed_by_state(as_user, make_event, state):
    for each in EventState:
        make_event(each)

    found = as_user("ada").get(f"/registry_events?state={state}").json()

    assert [event["state"] for event in found] == [state]
    assert len(as_user("ada").get("/registry_events").json()) == len(EventState)


def test_another_state_is_400(as_user):
    response = as_user("ada").get("/registry_events?state=lost")

    assert (response.status_code, response.json()["message"]) == (400, {'["state"]': ["is invalid"]})


def test_a_list_takes_the_same_queries_however_long_it_is(as_user, make_event, django_assert_max_num_queries):
    asker = as_user("ada")
    asker.get("/registry_events")  # notes that the token was used
    for _ in range(5):
        make_event(EventState.NEW)

    with django_assert_max_num_queries(5):
        assert len(asker.get("/registry_events").json()) == 5


# Another try


@pytest.mark.parametrize("pk", ["999", "x", str(2**70)])
def test_an_event_that_is_not_there_is_404(as_user, pk):
    assert as_user("ada").post(f"/registry_events/{pk}/retry", {}).status_code == 404


@pytest.mark.parametrize(
    ("state", "sentence"),
    [(EventState.WORKING, "This event is being handled."), (EventState.DONE, "This event is handled.")],
)
def test_what_is_at_work_or_done_is_left_alone(as_user, make_event, state, sentence):
    event = make_event(state)

    response = retry(as_user, event)

    assert (response.status_code, response.json()) == (422, {"message": {"base": [sentence]}})
    assert RegistryEvent.objects.get(pk=event.pk).state == state


def test_what_waits_for_its_next_try_is_due_now(as_user, make_event):
    later = timezone.now() + events.CLAIM
    event = make_event(EventState.FAILED, due_at=later, error="The registry refuses.", attempts=7)

    response = retry(as_user, event)

    assert response.status_code == 200
    assert (response.json()["state"], response.json()["error"]) == ("new", "")
    assert list(RegistryEvent.objects.due(timezone.now())) == [event]


def test_what_has_been_taken_up_meanwhile_is_left_alone(as_user, make_event):
    event = make_event(EventState.FAILED)
    RegistryEvent.objects.filter(pk=event.pk).update(state=EventState.WORKING, claim="another")

    with pytest.raises(Exception, match="just been taken up"):
        events.retry(event)

    assert RegistryEvent.objects.get(pk=event.pk).claim == "another"


def test_of_an_unknown_registry_it_is_still_not_understood(as_user, make_event):
    event = make_event(EventState.QUARANTINED, registry=None, trusted=False)

    response = retry(as_user, event)

    assert response.status_code == 422
    assert response.json() == {"message": {"base": ["No registry is known as unknown.test."]}}


def test_of_a_registry_that_is_known_now_it_is_handled(as_user, make_event, registry):
    event = make_event(EventState.QUARANTINED, registry=None, trusted=False, data=push(REGISTRY_HOST), action="")

    response = retry(as_user, event)

    assert response.status_code == 200
    assert (response.json()["state"], response.json()["registry_id"], response.json()["trusted"]) == (
        "new", registry.pk, False,
    )  # fmt: skip
    stored = RegistryEvent.objects.due(timezone.now()).get()
    assert (stored.action, stored.repository) == ("push", "team/app")


def test_what_was_understood_when_it_came_again_is_not_done_twice(as_user, make_event):
    event = make_event(EventState.QUARANTINED, registry=None, trusted=False, data=push(REGISTRY_HOST))
    again = make_event(EventState.QUARANTINED, registry=None, trusted=False, data=push(REGISTRY_HOST))
    assert retry(as_user, event).status_code == 200

    response = retry(as_user, again)

    assert response.status_code == 422
    assert "second time" in response.json()["message"]["base"][0]
    assert RegistryEvent.objects.get(pk=again.pk).state == EventState.QUARANTINED


def test_what_says_nothing_about_images_is_done(as_user, make_event):
    layer = push(REGISTRY_HOST, mediaType="application/octet-stream")
    event = make_event(EventState.QUARANTINED, registry=None, trusted=False, data=layer)

    assert retry(as_user, event).json()["state"] == "done"
    assert not RegistryEvent.objects.due(timezone.now()).exists()


@pytest.mark.parametrize("data", ["{", "", "[1]", '{"events": []}', "[" * 50_000, '{"action": "push", "target": {}}'])
def test_junk_stays_where_it_is(as_user, make_event, data):
    event = make_event(EventState.QUARANTINED, data=data, error="The body is not an envelope of notifications.")

    response = retry(as_user, event)

    assert response.status_code == 422
    assert response.json()["message"]["base"]
    assert RegistryEvent.objects.get(pk=event.pk).state == EventState.QUARANTINED
