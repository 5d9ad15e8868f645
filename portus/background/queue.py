"""The two queues. What they hold is only a nudge: the work itself is rows in the database, so a lost queue loses none.

This module stands low, so that whoever stores a row can nudge; what a nudge does is said in `background.tasks`.
"""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction
from huey import Huey, PostgresHuey
from huey.api import TaskWrapper
from huey.serializer import SignedSerializer
from huey.storage import SqliteStorage

if settings.PORTUS.runtime.database.engine == "mariadb":
    import peewee
    from huey.contrib.sql_huey import SqlStorage

logger = logging.getLogger(__name__)

EVENTS = "events"  # the one nudge that has a queue of its own
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
        queue = queue_of(name)
        if delay_seconds:
            queue.task.schedule((name,), delay=delay_seconds)
        # One that waits there begins after what we just committed, and finds it: looking is cheaper than writing.
        elif name != EVENTS or not queue.huey.storage.enqueued_items(limit=1):
            queue.task(name)
    except Exception:
        logger.warning("The task queue is out of reach; the next sweep does its work.", exc_info=True)


@dataclass(frozen=True)
class Queue:
    """A huey queue with the one task that runs on it."""

    huey: Huey
    task: TaskWrapper


def queue_of(name: str) -> Queue:
    """Return the queue on which `name` runs: a synchronisation never delays an event."""
    return _events() if name == EVENTS else _slow()


def prepare() -> None:
    """Create the tables of the queues where they live in the database server."""
    for queue in (_events(), _slow()):
        queue.huey.storage.initialize_schema()


# Made when first used, not when imported: the storages on a server connect at once.
@cache
def _events() -> Queue:
    return _queue(EVENTS)


@cache
def _slow() -> Queue:
    return _queue("slow")


def _queue(name: str) -> Queue:
    huey = _huey(name)

    @huey.task()  # type: ignore[untyped-decorator]
    def run_handler(handler: str) -> None:
        HANDLERS[handler]()

    return Queue(huey, run_handler)


class _SqliteStorage(SqliteStorage):  # type: ignore[misc]
    """A queue whose file survives a power failure, though not with its last entries: each is only a nudge."""

    def _create_connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = super()._create_connection()
        connection.execute("PRAGMA synchronous = NORMAL")  # huey knows only FULL, which waits for the disk, and OFF
        return connection


def _huey(name: str) -> Huey:
    database = settings.PORTUS.runtime.database
    options: dict[str, Any] = {"results": False, "serializer": SignedSerializer(secret=settings.SECRET_KEY)}
    if database.engine == "sqlite":
        filename = str(settings.PORTUS.runtime.data / "queue.sqlite3")
        return Huey(name, storage_class=_SqliteStorage, filename=filename, **options)
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
