"""Which pages of other sites may ask the API from a browser: those that `cors.origins` names, and no others.

They come with an application token. Cookies are never theirs to send: a session is for our own pages. Source: the Fetch
standard, "CORS protocol".
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

Handler = Callable[[HttpRequest], HttpResponse]

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
REQUEST_HEADERS = "Authorization, Content-Type, Portus-Auth"
RESPONSE_HEADERS = "Link, Retry-After, X-Total, X-Total-Pages, X-Per-Page, X-Page, X-Next-Page, X-Prev-Page"
PREFLIGHT_SECONDS = 3600  # a browser asks again after that; so long an origin that was taken off may still ask


def cors(get_response: Handler) -> Handler:
    """Tell browsers whom the API answers; nothing at all while no origin is configured."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not settings.PORTUS.cors.origins or not request.path_info.startswith("/api/"):
            return get_response(request)
        origin = request.headers.get("Origin", "")
        allowed = origin in settings.PORTUS.cors.origins
        response = _preflight() if allowed and _is_preflight(request) else get_response(request)
        if allowed:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = RESPONSE_HEADERS
        patch_vary_headers(response, ["Origin"])
        return response

    return middleware


def _is_preflight(request: HttpRequest) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def _preflight() -> HttpResponse:
    return HttpResponse(
        status=204,
        headers={
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        },
    )
