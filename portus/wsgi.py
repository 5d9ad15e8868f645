import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.wsgi import get_wsgi_application

from portus import config

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# No middleware has seen such a request.
REFUSAL_HEADERS = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portus.settings")

if problem := config.missing_secret_key(settings.PORTUS):  # for other servers than ours, which asked before
    sys.stderr.write(f"{problem}\n")
    sys.exit(2)

_django = get_wsgi_application()


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Django's application, and an answer to requests that it cannot even construct.

    It decodes the address by the charset that Content-Type names before any of its own handlers of errors is in place.
    """
    try:
        return _django(environ, start_response)
    except (LookupError, ValueError, SuspiciousOperation):
        start_response("400 Bad Request", REFUSAL_HEADERS)
        return [b"We cannot make sense of this request.\n"]
