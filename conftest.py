"""Fixtures for every test; the servers behind them are real, and stopped when the test or the run is over.

    def test_it_pushes(start_registry, registry_binary, skopeo, tmp_path):
        registry = start_registry(registry_binary)                      # no authentication, no notifications
        source = write_oci_layout(oci_index(), tmp_path / "image")      # portus.tests.servers.images
        assert skopeo.copy(source, f"docker://{registry.address}/app:1").returncode == 0

registry_binary   distribution 2.8, then 3.x: the test runs once with each; without 3.x the second is skipped with one
                  line "NOT RUN". One of them: @pytest.mark.parametrize("registry_binary", ["2.8"], indirect=True)
start_registry    start_registry(binary, *, portus_url, issuer, root_certificate, service, secret, …) → RunningRegistry
                  (address, url, port, service, storage, repositories(), log(), stop(), start(), restart()); with a
                  root_certificate it wants our tokens, with a portus_url it notifies us: servers/registry.py
skopeo            a client with a home of its own: login, logout, copy, inspect, tags, delete; each returns the finished
                  process. Another person: skopeo_for("bob")
start_portus      the whole product, `portus up` with a registry of its own: start_portus(environ={…}) → RunningPortus
                  (url, registry_address, data, bootstrap(), rows(), stop(), restart(), kill(role), log()):
                  servers/portus.py
postgresql_server, mariadb_server
                  a database server beside the one of the run: .url is good for DATABASE_URL
page, browser     pytest-playwright's, on Debian's Chromium

In `portus.tests.servers`: `images` makes images, indexes, lists and artifacts; `client.RegistryClient` and
`client.oci_push` push what skopeo cannot (an artifact with a subject, a manifest without a tag).

The database of the run is SQLite, or PORTUS_TEST_DATABASE=postgresql|mariadb. Tests get their markers `registry`,
`browser`, `product` and `database` from the fixtures they ask for. portus/tests/environment.py makes the environment of
the run.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portus.tests.servers import registry as registries
from portus.tests.servers import skopeo as skopeos
from portus.tests.servers.mariadb import RunningMariadb, find_mariadb, start_mariadb
from portus.tests.servers.portus import RunningPortus
from portus.tests.servers.portus import start_portus as run_portus
from portus.tests.servers.postgresql import RunningPostgresql, find_postgresql, start_postgresql
from portus.tests.servers.registry import RegistryBinary, RunningRegistry
from portus.tests.servers.skopeo import Skopeo

pytest_plugins = ["portus.testing"]

CHROMIUM = "/usr/bin/chromium"
MARKERS = {
    "database": {"db", "transactional_db", "django_db_setup", "live_server"},
    "registry": {"registry_binary", "start_registry", "skopeo", "skopeo_for", "start_portus"},
    "browser": {"browser", "page", "context"},
    "product": {"start_portus"},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, fixtures in MARKERS.items():
            if fixtures & set(getattr(item, "fixturenames", ())):
                item.add_marker(marker)
        if item.get_closest_marker("django_db"):
            item.add_marker("database")


@pytest.fixture(scope="session", params=["2.8", "3.x"])
def registry_binary(request: pytest.FixtureRequest) -> RegistryBinary:
    binary = registries.find_registry_binary(request.param)
    if binary is None:
        pytest.skip(registries.NOT_RUN[request.param])
    return binary


@pytest.fixture
def start_registry(tmp_path: Path) -> Iterator[Callable[..., RunningRegistry]]:
    started: list[RunningRegistry] = []

    def start(binary: RegistryBinary, **options: Any) -> RunningRegistry:
        running = registries.start_registry(binary, tmp_path / f"registry-{len(started)}", **options)
        started.append(running)
        return running

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def skopeo_for(tmp_path: Path) -> Callable[[str], Skopeo]:
    if not skopeos.has_skopeo():
        pytest.skip(skopeos.NOT_RUN)
    return lambda person: Skopeo(tmp_path / f"skopeo-{person}")


@pytest.fixture
def skopeo(skopeo_for: Callable[[str], Skopeo]) -> Skopeo:
    return skopeo_for("someone")


@pytest.fixture
def start_portus(tmp_path: Path) -> Iterator[Callable[..., RunningPortus]]:
    started: list[RunningPortus] = []

    def start(**options: Any) -> RunningPortus:
        running = run_portus(tmp_path / f"portus-{len(started)}", **options)
        started.append(running)
        return running

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[RunningPostgresql]:
    if find_postgresql() is None:
        pytest.skip("NOT RUN: the tests on PostgreSQL, for want of its server (bin/test fetches it)")
    server = start_postgresql()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[RunningMariadb]:
    if find_mariadb() is None:
        pytest.skip("NOT RUN: the tests on MariaDB, for want of mariadb-server-core (bin/test installs it)")
    server = start_mariadb()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def base_url() -> None:
    """pytest-playwright's own is a method, which pytest warns of; tests here write whole addresses."""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    if shutil.which(CHROMIUM) is None:
        pytest.skip("NOT RUN: the tests of pages in a browser, for want of Chromium (bin/test installs it)")
    # Playwright leaves an event loop running in the main thread, where Django would then refuse its database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": ["--no-sandbox"]}
