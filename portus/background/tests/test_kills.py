"""Nothing is lost and nothing is doubled, whatever dies while it works."""

import random
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from portus.tests.servers.client import RegistryClient
from portus.tests.servers.images import oci_image
from portus.tests.servers.registry import stored_content

PUSHES = 500
PUSHERS = 4
KILLS = 12
USER, PASSWORD = "ann", "a password of tests"


def rows(running, query):
    connection = sqlite3.connect(f"file:{running.data / 'portus.sqlite3'}?mode=ro", uri=True, timeout=20)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def catalogue(running):
    found = {}
    for namespace, repository, tag, digest in rows(
        running,
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


def waiting(running):
    return rows(running, "SELECT count(*) FROM registry_registryevent WHERE due_at IS NOT NULL")[0][0]


def wait_until_idle(running, *, seconds):
    deadline = time.monotonic() + seconds
    while waiting(running):
        assert time.monotonic() < deadline, rows(
            running, "SELECT state, error, attempts FROM registry_registryevent WHERE due_at IS NOT NULL LIMIT 5"
        )
        time.sleep(0.1)


def test_a_worker_killed_at_random_moments_during_500_pushes_loses_and_doubles_nothing(start_portus, registry_binary):
    running = start_portus(registry=registry_binary)
    user = {"username": USER, "email": "ann@test.lan", "password": PASSWORD}
    httpx.post(f"{running.url}/api/v1/users/bootstrap", json={"user": user}).raise_for_status()
    chance = random.Random(2026)
    handled_at_kills = []

    with ThreadPoolExecutor(PUSHERS) as pool:
        pushes = [pool.submit(push_all, running, range(start, PUSHES, PUSHERS)) for start in range(PUSHERS)]
        while len(handled_at_kills) < KILLS and not (all(push.done() for push in pushes) and not waiting(running)):
            time.sleep(chance.uniform(0.05, 1.5))
            if running.pid("background"):
                handled_at_kills.append(PUSHES - waiting(running))
                running.kill("background")
        for push in pushes:
            push.result()

    wait_until_idle(running, seconds=90)
    assert len(set(handled_at_kills)) >= 4, handled_at_kills  # it had worked between one kill and the next
    assert catalogue(running) == stored_content(running.storage)
    assert rows(running, "SELECT state, count(*) FROM registry_registryevent GROUP BY state") == [("done", PUSHES)]
    assert rows(running, "SELECT count(*) FROM activities_activity WHERE key = 'repository.push'") == [(PUSHES,)]
    wrong_counts = rows(
        running,
        "SELECT r.name, r.tag_count FROM repositories_repository r"
        " WHERE r.tag_count != (SELECT count(*) FROM repositories_tag t WHERE t.repository_id = r.id)",
    )
    assert wrong_counts == []
