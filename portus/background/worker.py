"""The background process: one consumer a queue, each with its own threads, and the sweep."""

import logging
import signal
import threading

from django.conf import settings
from django.db import close_old_connections
from huey.consumer import Consumer

from portus.background import queue, tasks  # noqa: F401 - registers the handlers
from portus.registry import events

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 60
LONGEST_POLL_SECONDS = 0.2
EVENT_THREADS = 2
SLOW_THREADS = 1


def run() -> None:
    """Work until SIGTERM or SIGINT; tasks that are running then are finished first."""
    queue.prepare()
    events.release_claims_of_the_dead()
    consumers = [_start("sweep", SLOW_THREADS)]
    if settings.PORTUS.background.registry.enabled:
        consumers.append(_start("events", EVENT_THREADS))
    else:
        logger.warning("background.registry.enabled is off: registry events pile up and the catalogue stands still.")
    stopping = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda _signum, _frame: stopping.set())
    logger.info("Waiting for work.")
    while True:
        queue.nudge("sweep")
        if stopping.wait(SWEEP_SECONDS):
            break
    for consumer in consumers:
        consumer.stop(graceful=True)


def _start(name: str, threads: int) -> Consumer:
    """Start the consumer of the queue on which `name` runs, and return it."""
    huey = queue.queue_of(name).huey
    huey.pre_execute(name="connections")(lambda _task: close_old_connections())
    consumer = Consumer(
        huey,
        workers=threads,
        periodic=False,  # the sweep is ours: huey's runs in every process at the same minute
        initial_delay=0.05,
        max_delay=LONGEST_POLL_SECONDS,
        scheduler_interval=1,
    )
    consumer.start()
    return consumer
