"""The two queues. What they hold is only a nudge: the work itself is rows in the database, so a lost queue loses none.

This module stands low, so that whoever stores a row can nudge; what a nudge does is said in `background.tasks`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction
from huey import Huey, PostgresHuey, SqliteHuey
from huey.api import TaskWrapper
from huey.serializer import SignedSerializer

if settings.PORTUS.runtime.database.engine == "mariadb":
    import peewee
    from huey.contrib.sql_huey import SqlStorage

logger = logging.getLogger(__name__)

EVENT_NUDGES = frozenset({"events"})
HANDLERS: dict[str, Callable[[], None]] = {}


def handles(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Make the decorated function what a nudge called `name` runs."""

    def register(function: Callable[[], None]) -> Callable[[], None]:
        HANDLERS[name] = function
        return function

    return register


def nudge(name: str, *, delay_seconds: float = 0) -> None:
    """Have `name` run soon, once the transaction at hand is committed.

    A queue that cannot be reached delays the work until the next sweep; it never fails the request.
    """
    transaction.on_commit(lambda: _send(name, delay_seconds))


def _send(name: str, delay_seconds: float) -> None:
    try:
        run = queue_of(name).task
        if delay_seconds:
            run.schedule((name,), delay=delay_seconds)
        else:
            run(name)
    except Exception:
        logger.warning("The task queue is out of reach; the next sweep does its work.", exc_info=True)


@dataclass(frozen=True)
class Queue:
    """A huey queue with the one task that runs on it."""

    huey: Huey
    task: TaskWrapper


def queue_of(name: str) -> Queue:
    """Return the queue on which `name` runs: a synchronisation never delays an event."""
    return _events() if name in EVENT_NUDGES else _slow()


def prepare() -> None:
    """Create the tables of the queues where they live in the database server."""
    for queue in (_events(), _slow()):
        queue.huey.storage.initialize_schema()


# Made when first used, not when imported: the storages on a server connect at once.
@cache
def _events() -> Queue:
    return _queue("events")


@cache
def _slow() -> Queue:
    return _queue("slow")


def _queue(name: str) -> Queue:
    huey = _huey(name)

    @huey.task()  # type: ignore[untyped-decorator]
    def run_handler(handler: str) -> None:
        HANDLERS[handler]()

    return Queue(huey, run_handler)


def _huey(name: str) -> Huey:
    database = settings.PORTUS.runtime.database
    options: dict[str, Any] = {"results": False, "serializer": SignedSerializer(secret=settings.SECRET_KEY)}
    if database.engine == "sqlite":
        return SqliteHuey(name, filename=str(settings.PORTUS.runtime.data / "queue.sqlite3"), **options)
    address = {key: value for key, value in (("host", database.host), ("port", database.port)) if value}
    if database.engine == "postgresql":
        return PostgresHuey(
            name, create_tables=False, dbname=database.name, user=database.user, password=database.password,
            **address, **database.options, **options,
        )  # fmt: skip
    return _mariadb_huey(name, address, options)


def _mariadb_huey(name: str, address: dict[str, Any], options: dict[str, Any]) -> Huey:
    database = settings.PORTUS.runtime.database
    if database.socket:
        address = {"unix_socket": database.socket}
    connection = peewee.MySQLDatabase(
        database.name, user=database.user, password=database.password, charset="utf8mb4", **address, **database.options
    )
    return Huey(name, storage_class=SqlStorage, database=connection, create_tables=False, **options)
