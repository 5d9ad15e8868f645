"""What the settings of a test run see: an environment of its own, and the database it was asked for.

pyproject.toml names this module as a pytest plugin, because pytest-django loads the settings before any conftest.py.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, MutableMapping

import pytest

from portus.tests.servers.folders import remove_abandoned, temporary_folder
from portus.tests.servers.mariadb import RunningMariadb, start_mariadb
from portus.tests.servers.postgresql import RunningPostgresql, start_postgresql
from portus.tests.servers.process import ServerError

DATABASES: dict[str, Callable[[], RunningPostgresql | RunningMariadb]] = {
    "postgresql": start_postgresql,
    "mariadb": start_mariadb,
}
_cleanups: list[Callable[[], object]] = []


def prepare(environ: MutableMapping[str, str]) -> None:
    """Forget what the developer's shell says about Portus, and start the database server, if one is wanted."""
    wanted = environ.get("PORTUS_TEST_DATABASE") or "sqlite"
    # A worker of pytest-xdist inherits the address of its parent's server; each has a database of its own there.
    shared = environ.get("DATABASE_URL") if "PYTEST_XDIST_WORKER" in environ else None
    for name in [name for name in environ if name.startswith("PORTUS_")]:
        del environ[name]
    for name in ("DATABASE_URL", "DATABASE_URL_FILE", "REGISTRY_PORT", "DJANGO_SETTINGS_MODULE"):
        environ.pop(name, None)

    remove_abandoned()
    data = temporary_folder("data")
    _cleanups.append(lambda: shutil.rmtree(data, ignore_errors=True))
    nothing = data / "config-local.yml"
    nothing.write_text("{}\n")
    environ["PORTUS_DATA"] = str(data)
    environ["PORTUS_SECRET_KEY_BASE"] = "only for tests " * 4
    environ["PORTUS_LOCAL_CONFIG_PATH"] = str(nothing)
    # Requests to our own servers never go through a proxy.
    environ["NO_PROXY"] = environ["no_proxy"] = "127.0.0.1,localhost,::1"
    if shared:
        environ["DATABASE_URL"] = shared
    elif wanted != "sqlite":
        environ["DATABASE_URL"] = _start_database(wanted)


def _start_database(wanted: str) -> str:
    if wanted not in DATABASES:
        pytest.exit(f"PORTUS_TEST_DATABASE must be sqlite, postgresql or mariadb, not {wanted}.", returncode=4)
    try:
        server = DATABASES[wanted]()
    except ServerError as error:
        pytest.exit(str(error), returncode=4)
    _cleanups.append(server.stop)
    _make_queues(server.url)
    return server.url


def _make_queues(url: str) -> None:
    """Make the tables of the task queues, which Django's test databases do not have: these stand in the first one."""
    make = "import django; django.setup(); from portus.background import queue; queue.prepare()"
    environ = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "portus.settings"}
    subprocess.run([sys.executable, "-c", make], env=environ, check=True)


def pytest_addoption() -> None:
    # The first hook that is called on a plugin: earlier than the settings, which pytest-django loads.
    prepare(os.environ)


def pytest_unconfigure() -> None:
    while _cleanups:
        _cleanups.pop()()
