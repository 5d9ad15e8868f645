"""Answers to requests that failed: a page for people, JSON where programs ask."""

import logging
import sys
from dataclasses import dataclass

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from portus.web.context import STYLESHEETS

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 10
# Below these paths, and those of the API, the clients are programs.
PROGRAM_PATHS = ("/v2", "/auth/")


@dataclass(frozen=True, slots=True)
class Words:
    title: str
    text: str
    code: str  # as registries name their errors; container clients print it


WORDS = {
    400: Words("Bad request", "We cannot make sense of this request.", "BAD_REQUEST"),
    403: Words("Not allowed", "You do not have the right to do this.", "DENIED"),
    404: Words(
        "Page not found",
        "There is no such page, or it is not open to you.",
        "NOT_FOUND",
    ),
    405: Words("Not possible here", "This address does not know what to do with such a request.", "UNSUPPORTED"),
    413: Words("Too much", "This request is larger than anything that we accept here.", "SIZE_INVALID"),
    415: Words("Unknown encoding", "We read UTF-8 only.", "UNSUPPORTED"),
    429: Words("Too many requests", "We are busy at the moment. Please try again in a few seconds.", "TOOMANYREQUESTS"),
    500: Words(
        "Something went wrong on our side",
        "The error has been logged. If it happens again, tell the administrator when it happened.",
        "UNKNOWN",
    ),
    503: Words("Not available", "We cannot answer at the moment. Please try again in a minute.", "UNAVAILABLE"),
}
SIGNED_OUT = (
    "Your form has expired, perhaps because you signed in or out in another window. Go back, reload, try again."
)


def answer(request: HttpRequest, status: int, *, text: str = "") -> HttpResponse:
    """Say what `status` means, or `text` in its place, in the language of whoever asked."""
    words = WORDS[status]
    text = text or words.text
    if request.path_info.startswith("/api/"):
        return JsonResponse({"message": text}, status=status)
    if request.path_info.startswith(PROGRAM_PATHS):
        body = {"error": text, "errors": [{"code": words.code, "message": text, "detail": None}]}
        return JsonResponse(body, status=status)
    # Without the request, so that no session and no database is asked: they may be what failed.
    context = {"status": status, "title": words.title, "text": text, "stylesheets": STYLESHEETS}
    return HttpResponse(render_to_string("web/error.html", context), status=status)


def explained(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return `response`, with words where Django's decorators refuse a method without any."""
    if response.status_code != 405 or response.content or request.method == "HEAD":
        return response
    answered = answer(request, 405)
    answered["Allow"] = response["Allow"]
    return answered


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    too_big = isinstance(exception, RequestDataTooBig | TooManyFieldsSent | TooManyFilesSent)
    return answer(request, 413 if too_big else 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django passes it by name
    return answer(request, 403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django passes it by name
    return answer(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Tell a database that is away or overloaded, which passes, from an error of ours, which does not."""
    if not isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return answer(request, 500)
    response = answer(request, 503)
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    logger.info("Form refused: %s", reason)
    return answer(request, 403, text=SIGNED_OUT)
