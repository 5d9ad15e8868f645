"""What every page knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from portus import VERSION


def site(_request: HttpRequest) -> dict[str, Any]:
    return {
        "portus_version": VERSION,
        "anonymous_browsing": settings.PORTUS.anonymous_browsing.enabled,
    }
