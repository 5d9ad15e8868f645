"""Lists of the API: complete and streamed without paging parameters, as Portus 2.4 gave them; else by pages or by key.

Pages go to row 10,000; from there on `after`, which `Link` carries, costs the same however far it is.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlencode

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from pydantic import BaseModel, BeforeValidator, Field

from portus.web.paging import COUNT_LIMIT, count_up_to

JSON = "application/json"
BATCH = 1000  # rows in memory at once
MOST_PER_PAGE = 100
LAST_ROW_BY_PAGE = COUNT_LIMIT

Row = TypeVar("Row", bound=Model)
Entity = Callable[[Row], dict[str, Any]]


def _truth(value: Any) -> Any:
    """Read a truth value as Portus 2.4 did; pydantic knows the other spellings."""
    return False if value == "" else value


class ListParameters(BaseModel):
    """What every list takes. Without any of it the list is complete."""

    all: Annotated[bool, BeforeValidator(_truth)] = Field(False, description="Give the complete list, without pages.")
    page: int | None = Field(None, ge=1, description="Number of the page, from 1; up to row 10,000.")
    per_page: int | None = Field(None, ge=1, le=MOST_PER_PAGE, description="Rows of a page, 100 at most.")
    after: int | None = Field(None, ge=0, description="Give the rows after the one with this id, in the order of ids.")
    sort_attr: str | None = Field(None, max_length=32, description="What to sort by: id, name, created_at, updated_at.")
    sort_order: Literal["asc", "desc"] | None = Field(None, description="asc or desc.")

    @property
    def is_paged(self) -> bool:
        return not self.all and any(given is not None for given in (self.page, self.per_page, self.after))


def as_time(moment: datetime | None) -> str | None:
    """Return a time as the API writes it: ISO 8601 in UTC with milliseconds."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer(
    request: HttpRequest, rows: QuerySet[Row], entity: Entity[Row], parameters: ListParameters, *, sortable: set[str]
) -> HttpResponseBase:
    """Answer with `rows`, each as `entity` writes it; what is not in `sortable` sorts by id."""
    column = parameters.sort_attr if parameters.sort_attr in sortable else "pk"
    sign = "-" if parameters.sort_order == "desc" else ""
    ordered = rows.order_by(f"{sign}{column}", f"{sign}pk")
    if not parameters.is_paged:
        return StreamingHttpResponse(_streamed(ordered, entity), content_type=JSON)
    size = parameters.per_page or settings.PORTUS.pagination.per_page
    if parameters.after is not None:
        return _page_after(request, rows, entity, parameters.after, size)
    return _page(request, ordered, entity, number=parameters.page or 1, size=size)


def encode(value: Any) -> str:
    """Return JSON that is safe inside a page as well."""
    text = json.dumps(value, cls=DjangoJSONEncoder, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _streamed(rows: QuerySet[Row], entity: Entity[Row]) -> Iterator[str]:
    """Write the list batch by batch, so that its length costs no memory."""
    yield "["
    separator = ""
    for batch in _batches(rows):
        yield separator + ",".join(encode(entity(row)) for row in batch)
        separator = ","
    yield "]"


def _batches(rows: QuerySet[Row]) -> Iterator[list[Row]]:
    """Yield the rows in their order; in that of ids each batch is a query of its own.

    In another order one cursor gives all of them, which MariaDB's driver keeps in memory.
    """
    if rows.query.order_by[0] not in {"pk", "-pk"}:
        cursor = rows.iterator(chunk_size=BATCH)
        while batch := list(islice(cursor, BATCH)):
            yield batch
        return
    beyond = "pk__lt" if rows.query.order_by[0] == "-pk" else "pk__gt"
    rest = rows
    while batch := list(rest[:BATCH]):
        yield batch
        rest = rows.filter(**{beyond: batch[-1].pk})


def _page(request: HttpRequest, rows: QuerySet[Row], entity: Entity[Row], *, number: int, size: int) -> HttpResponse:
    total = count_up_to(rows)
    last = max(1, -(-min(total, LAST_ROW_BY_PAGE) // size))
    start = (number - 1) * size
    found = list(rows[start : start + size]) if start < LAST_ROW_BY_PAGE else []
    response = HttpResponse(encode([entity(row) for row in found]), content_type=JSON)
    response["X-Page"], response["X-Per-Page"] = str(number), str(size)
    response["X-Total"] = str(total) if total <= COUNT_LIMIT else f"{COUNT_LIMIT}+"
    response["X-Total-Pages"] = str(last)
    response["X-Prev-Page"] = str(number - 1) if number > 1 else ""
    response["X-Next-Page"] = str(number + 1) if number < last else ""
    pages = {"prev": number - 1, "next": number + 1, "first": 1, "last": last}
    response["Link"] = ", ".join(
        _link(request, relation, page=page, per_page=size) for relation, page in pages.items() if 1 <= page <= last
    )
    return response


def _page_after(request: HttpRequest, rows: QuerySet[Row], entity: Entity[Row], after: int, size: int) -> HttpResponse:
    found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
    shown = found[:size]
    response = HttpResponse(encode([entity(row) for row in shown]), content_type=JSON)
    response["X-Per-Page"] = str(size)
    if len(found) > size:
        response["Link"] = _link(request, "next", after=shown[-1].pk, per_page=size)
    return response


def _link(request: HttpRequest, relation: str, **changes: int) -> str:
    kept = [(key, value) for key, values in request.GET.lists() for value in values if key not in {*changes, "page"}]
    query = urlencode([*kept, *changes.items()])
    return f'<{settings.PORTUS.public_url.rstrip("/")}{request.path_info}?{query}>; rel="{relation}"'
