import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.core.exceptions import SuspiciousOperation
from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portus.settings")

_django = get_wsgi_application()


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Django's application, and an answer to requests that it cannot even construct.

    It decodes the address by the charset that Content-Type names before any of its own handlers of errors is in place.
    """
    try:
        return _django(environ, start_response)
    except (LookupError, ValueError, SuspiciousOperation):
        start_response("400 Bad Request", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"We cannot make sense of this request.\n"]
