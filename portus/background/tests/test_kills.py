"""Nothing is lost and nothing is doubled, whatever dies while it works."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from portus.tests.servers.client import RegistryClient
from portus.tests.servers.images import oci_image
from portus.tests.servers.portus import PORTUS
from portus.tests.servers.process import Process
from portus.tests.servers.registry import stored_content
from portus.tests.servers.waiting import seconds_until

PUSHES = 500
PUSHERS = 4
KILLS = 12
MOST_BETWEEN_KILLS = 30  # events
USER, PASSWORD = "ann", "a password of tests"


def catalogue(running):
    found = {}
    for namespace, repository, tag, digest in running.rows(
        "SELECT n.name, r.name, t.name, m.digest FROM repositories_tag t"
        " JOIN repositories_repository r ON r.id = t.repository_id"
        " JOIN teams_namespace n ON n.id = r.namespace_id JOIN repositories_manifest m ON m.id = t.manifest_id",
    ):
        found.setdefault(f"{namespace}/{repository}", {})[tag] = digest
    return found


def push_all(running, numbers):
    """Push one image after the other: to ten repositories, so that tags appear, move, and share images."""
    with RegistryClient(running.registry_address, USER, PASSWORD) as client:
        for number in numbers:
            image = oci_image(f"image {number % 50}")
            client.push(image, f"{USER}/app{number % 10}", f"v{number % 200}")


def handled(running):
    return running.rows("SELECT count(*) FROM registry_registryevent WHERE state = 'done'")[0][0]


def unhandled(running):
    return running.rows("SELECT state, error, attempts FROM registry_registryevent WHERE state != 'done' LIMIT 5")


@pytest.fixture
def running(start_portus, registry_binary):
    """Portus without a worker for events: supervisor waits longer after each time that one dies young."""
    running = start_portus(registry=registry_binary, environ={"PORTUS_BACKGROUND_REGISTRY_ENABLED": "false"})
    running.bootstrap(USER, PASSWORD)
    return running


@pytest.fixture
def worker(running, tmp_path):
    environ = {**running.environ, "PORTUS_BACKGROUND_REGISTRY_ENABLED": "true"}
    worker = Process([PORTUS, "background"], log=tmp_path / "worker.log", environ=environ, cwd=tmp_path)
    worker.start()
    yield worker
    worker.stop()


def kill_at_work(running, worker, chance):
    """Kill the worker in the middle of what it does, after some events; return how many were handled then."""
    wanted = handled(running) + chance.randint(1, MOST_BETWEEN_KILLS)
    seconds_until(lambda: handled(running) >= wanted, most=60, why=lambda: unhandled(running))
    time.sleep(chance.uniform(0, 0.1))  # about as long as an event takes
    worker.kill()
    worker.start()
    return handled(running)


def test_a_worker_killed_at_random_moments_during_500_pushes_loses_and_doubles_nothing(running, worker):
    chance = random.Random(2026)

    with ThreadPoolExecutor(PUSHERS) as pool:
        pushes = [pool.submit(push_all, running, range(start, PUSHES, PUSHERS)) for start in range(PUSHERS)]
        handled_at_kills = [kill_at_work(running, worker, chance) for _ in range(KILLS)]
        for push in pushes:
            push.result()

    assert handled_at_kills[-1] < PUSHES, handled_at_kills  # there was work to be lost at each of them
    seconds_until(lambda: handled(running) == PUSHES, most=90, why=lambda: unhandled(running))
    assert catalogue(running) == stored_content(running.storage)
    assert running.rows("SELECT state, count(*) FROM registry_registryevent GROUP BY state") == [("done", PUSHES)]
    assert running.rows("SELECT count(*) FROM activities_activity WHERE key = 'repository.push'") == [(PUSHES,)]
    wrong_counts = running.rows(
        "SELECT r.name, r.tag_count FROM repositories_repository r"
        " WHERE r.tag_count != (SELECT count(*) FROM repositories_tag t WHERE t.repository_id = r.id)",
    )
    assert wrong_counts == []
