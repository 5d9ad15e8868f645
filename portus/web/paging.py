"""Pages of a list by key: "the rows after this one" costs the same at the start and a million rows further on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

COUNT_LIMIT = 10_000

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Order:
    """A column to sort by, and how its values are written in an address. Rows with equal values follow by id."""

    column: str
    descending: bool = False
    write: Callable[[Any], str] = str
    read: Callable[[str], Any] = str


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and the keys that lead to the rows before and after them; None where there are none."""

    rows: list[Row]
    previous: str | None
    next: str | None


def write_time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()


def read_time(text: str) -> datetime:
    """Return a moment; raise ValueError for what is none, or one that no database could compare."""
    value = datetime.fromisoformat(text)
    if value.tzinfo is None or not 1970 <= value.year <= 9998:
        raise ValueError(text)
    return value


def page_by_key(rows: QuerySet[Row], order: Order, *, size: int, after: str = "", before: str = "") -> Page[Row]:
    """Return one page in one query. A key that is none of ours gives the first page."""
    after_key, before_key = _read(order, after), _read(order, before)
    backwards = before_key is not None and after_key is None
    key = before_key if backwards else after_key
    descending = order.descending != backwards
    if key is not None:
        rows = rows.filter(_beyond(order.column, *key, descending=descending))
    sign = "-" if descending else ""
    found = list(rows.order_by(f"{sign}{order.column}", f"{sign}pk")[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    has_previous, has_next = (more, True) if backwards else (key is not None, more)
    return Page(
        found,
        previous=_write(order, found[0]) if found and has_previous else None,
        next=_write(order, found[-1]) if found and has_next else None,
    )


def count_up_to(rows: QuerySet[Row], limit: int = COUNT_LIMIT) -> int:
    """Return how many there are; `limit + 1` stands for all that are more."""
    return rows.order_by()[: limit + 1].count()


def _beyond(column: str, value: Any, pk: int, *, descending: bool) -> Q:
    # The first condition alone lets a database begin in the middle of its index.
    way = "lt" if descending else "gt"
    return Q(**{f"{column}__{way}e": value}) & (Q(**{f"{column}__{way}": value}) | Q(**{f"pk__{way}": pk}))


def _write(order: Order, row: Row) -> str:
    return f"{order.write(getattr(row, order.column))}~{row.pk}"


def _read(order: Order, text: str) -> tuple[Any, int] | None:
    value, tilde, pk = text.rpartition("~")
    if not tilde or not pk.isdecimal() or len(pk) > 18:
        return None
    try:
        return order.read(value), int(pk)
    except ValueError:
        return None
