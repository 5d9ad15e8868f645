"""Events that cannot be handled at once: registries that are away, workers that die or meet, and what is forgotten."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from portus.activities.models import Activity
from portus.registry import events
from portus.registry.models import EventState, RegistryEvent
from portus.registry.tests.notifications import HEADERS, content, notification, post, states
from portus.repositories.models import Repository
from portus.tests.servers import images
from portus.tests.servers.ports import free_port

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize(("attempts", "pause"), [(9, 512), (10, 600), (10_000, 600)])
def test_it_is_asked_again_every_ten_minutes_at_least(client, secured, namespace, attempts, pause):
    secured.hostname = f"127.0.0.1:{free_port()}"
    secured.save()
    post(client, notification("push", host="any", image=images.oci_image(), tag="1"))
    RegistryEvent.objects.update(attempts=attempts - 1)

    events.handle_due()

    event = RegistryEvent.objects.get()
    assert event.attempts == attempts
    assert round((event.due_at - timezone.now()).total_seconds()) == pause


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


# What is forgotten


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
