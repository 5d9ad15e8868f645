"""How numbers, times and digests are written for people."""

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone

from portus.web.paging import COUNT_LIMIT

register = template.Library()

SIZES = ("B", "kB", "MB", "GB", "TB", "PB")
AGES = ((31_536_000, "year"), (2_592_000, "month"), (86_400, "day"), (3_600, "hour"), (60, "minute"))


@register.filter
def size(value: int | None) -> str:
    """Write bytes as `12.3 MB`, with a decimal below ten; an unknown size is a dash."""
    if value is None:
        return "-"
    number, power = float(value), 0
    while round(number) >= 1000 and power < len(SIZES) - 1:
        number, power = number / 1000, power + 1
    digits = 1 if power and number < 9.95 else 0
    return f"{number:.{digits}f}\N{NO-BREAK SPACE}{SIZES[power]}"


@register.filter
def short_digest(value: str) -> str:
    """Write `sha256:0123…` as the first twelve of its digits."""
    return value.partition(":")[2][:12] or value[:12]


@register.filter
def counted(number: int, noun: str) -> str:
    """Write `1 tag`, `2 tags`, `1 repository`; above the limit of counting `10,000+ tags`."""
    if number != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{COUNT_LIMIT:,}+ {noun}" if number > COUNT_LIMIT else f"{number:,} {noun}"


@register.inclusion_tag("web/_time.html")
def ago(value: datetime | None, never: str = "never") -> dict[str, Any]:
    """Write how long ago something was, with the exact time where the pointer rests on it."""
    return {"value": value, "words": never if value is None else age(timezone.now() - value)}


def age(passed: timedelta) -> str:
    seconds = passed.total_seconds()
    for length, unit in AGES:
        count = int(abs(seconds) // length)
        if count:
            words = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"in {words}" if seconds < 0 else f"{words} ago"
    return "just now"
