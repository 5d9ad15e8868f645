"""What every page knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from portus import VERSION

# In the order in which they overrule each other; a component has one file, which opens with its usage.
STYLESHEETS = tuple(
    f"css/{name}.css"
    for name in (
        "tokens", "base", "header", "menu", "button", "form", "notice", "panel", "table", "badge", "copy", "pager",
        "tabs", "search", "empty", "confirm", "image",
    )
)  # fmt: skip


def site(_request: HttpRequest) -> dict[str, Any]:
    return {
        "stylesheets": STYLESHEETS,
        "portus_version": VERSION,
        "anonymous_browsing": settings.PORTUS.anonymous_browsing.enabled,
        "signup": settings.PORTUS.signup.enabled,
    }
