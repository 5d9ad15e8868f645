"""What anybody may know of our health: each component with a sentence, as `GET /api/v1/health` shows it.

Load balancers ask it, and strangers may. So what was found is remembered for some seconds, one thread at a time looks
for it, and no registry is waited for longer than that.
"""

import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, OperationalError

from portus.registry import health
from portus.registry.models import Registry

FRESH_SECONDS = 5
STALE_SECONDS = 30  # what is older is not shown while somebody looks anew
PATIENCE_SECONDS = 5  # of all registries together
MOST_AT_ONCE = 8
MARIADB_UNKNOWN_DATABASE = 1049
_POSTGRESQL_UNKNOWN_DATABASE = re.compile('database ".*" does not exist')


class Component(NamedTuple):
    msg: str
    success: bool


class _Memory:
    def __init__(self) -> None:
        self._lock = Lock()
        self.forget()

    def forget(self) -> None:
        self._found: dict[str, Component] = {}
        self._at = float("-inf")

    def components(self) -> dict[str, Component]:
        if self._age() > FRESH_SECONDS and self._lock.acquire(blocking=self._age() > STALE_SECONDS):
            try:
                if self._age() > FRESH_SECONDS:  # nobody else has looked while we waited
                    self._found, self._at = dict(_look()), time.monotonic()
            finally:
                self._lock.release()
        return self._found

    def _age(self) -> float:
        return time.monotonic() - self._at


memory = _Memory()


def _look() -> Iterator[tuple[str, Component]]:
    """Yield each component; the first registry is called `registry`, as the only one was in Portus 2.4."""
    database = database_state()
    yield "database", database
    if not database.success:
        yield "registry", Component("not known without the database", success=False)
        return
    registries = list(Registry.objects.order_by("pk"))
    if not registries:
        yield "registry", Component("no registry configured", success=False)
    for number, (registry, state) in enumerate(zip(registries, _states(registries), strict=True)):
        yield f"registry {registry.name}" if number else "registry", state


def database_state() -> Component:
    """Say in the words of Portus 2.4 how the database is; those of its driver are nobody else's business."""
    try:
        pending = health.pending_migrations()
    except OperationalError as error:
        missing = MARIADB_UNKNOWN_DATABASE in error.args or _POSTGRESQL_UNKNOWN_DATABASE.search(str(error))
        return Component("database has not been created" if missing else "cannot connect to database", success=False)
    except (DatabaseError, ImproperlyConfigured):
        return Component("unknown error", success=False)
    return Component("database is initializing" if pending else "database is up-to-date", success=not pending)


def _states(registries: list[Registry]) -> Iterator[Component]:
    """Ask all at once; a name server that does not answer keeps a thread, but not whoever asked us."""
    pool = ThreadPoolExecutor(MOST_AT_ONCE, "health")
    asked = [pool.submit(health.unreachable, registry, patience=PATIENCE_SECONDS) for registry in registries]
    wait(asked, timeout=PATIENCE_SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    return map(_state, asked)


def _state(asked: Future[str]) -> Component:
    if not asked.done() or asked.cancelled():
        return Component("registry does not answer in time", success=False)
    problem = asked.result()
    return Component(problem or "registry is reachable", success=not problem)
