import pytest

from portus.background import queue

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty_queues():
    queue.prepare()
    for name in (queue.EVENTS, "sweep"):
        queue.queue_of(name).huey.flush()


def waiting(name):
    return [task.args[0] for task in queue.queue_of(name).huey.pending()]


def nudge(name, capture):
    with capture(execute=True):
        queue.nudge(name)


def test_events_wait_behind_one_nudge(django_capture_on_commit_callbacks):
    for _ in range(3):
        nudge(queue.EVENTS, django_capture_on_commit_callbacks)

    assert waiting(queue.EVENTS) == [queue.EVENTS]


def test_events_that_come_when_the_nudge_was_taken_get_another(django_capture_on_commit_callbacks):
    nudge(queue.EVENTS, django_capture_on_commit_callbacks)
    queue.queue_of(queue.EVENTS).huey.dequeue()

    nudge(queue.EVENTS, django_capture_on_commit_callbacks)

    assert waiting(queue.EVENTS) == [queue.EVENTS]


def test_what_shares_a_queue_is_never_taken_for_one_another(django_capture_on_commit_callbacks):
    nudge("sweep", django_capture_on_commit_callbacks)
    nudge("something else", django_capture_on_commit_callbacks)

    assert waiting("sweep") == ["sweep", "something else"]


def test_there_is_no_nudge_before_the_commit(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks():
        queue.nudge(queue.EVENTS)

    assert waiting(queue.EVENTS) == []
