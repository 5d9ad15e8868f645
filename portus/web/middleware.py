"""What holds for every request, before any view sees it."""

from collections.abc import Callable
from ipaddress import ip_address

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix, resolve

from portus.web import errors

Handler = Callable[[HttpRequest], HttpResponse]

BIGGEST_BODY = 1024 * 1024  # bytes; the largest form or JSON document we know needs a few hundred
# Notifications come in bigger batches, and their view bounds them itself: a registry that is refused tries for ever.
UNBOUNDED_PATHS = frozenset({"/v2/webhooks/events", "/v2/webhooks/events.json"})
PROGRAM_PATHS = UNBOUNDED_PATHS | {"/v2/token", "/v2/token.json", "/auth/token"}

FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_SSL",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
)


def trusted_proxies(get_response: Handler) -> Handler:
    """Set address and scheme of the client from `X-Forwarded-*`, if and only if a trusted proxy says so.

    No such header is left afterwards: what comes later reads REMOTE_ADDR and the scheme, and cannot be told lies.
    A proxy must drop `X_Forwarded_For` and the like, as nginx does unasked: under WSGI they arrive under the same name.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        claims = {name: str(request.META.pop(name)) for name in FORWARDED if name in request.META}
        if is_trusted(request.META.get("REMOTE_ADDR", "")):
            hops = [hop.strip() for hop in claims.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
            request.META["REMOTE_ADDR"] = client_address(request.META["REMOTE_ADDR"], hops)
            scheme = claims.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
            if scheme in {"http", "https"}:
                request.META["wsgi.url_scheme"] = scheme
        return get_response(request)

    return middleware


def is_trusted(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in settings.PORTUS.proxies.trusted)


def client_address(peer: str, hops: list[str]) -> str:
    """Return the last address of the chain that no trusted proxy has; each entry was written by the one after it."""
    for hop in reversed(hops):
        try:
            peer = str(ip_address(hop))
        except ValueError:
            return peer
        if not is_trusted(peer):
            return peer
    return peer


def path_prefix(get_response: Handler) -> Handler:
    """Take the prefix of `public_url` off the path when the proxy in front has left it on.

    Some proxies strip it, some do not; both find the same pages.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        prefix = get_script_prefix().rstrip("/")
        if prefix and f"{request.path_info}/".startswith(f"{prefix}/"):
            request.path_info = request.path_info.removeprefix(prefix) or "/"
            request.path = prefix + request.path_info
        return get_response(request)

    return middleware


def sane_requests(get_response: Handler) -> Handler:
    """Refuse what no client of ours sends, before it hurts further in; and leave no refusal without words."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if _body_size(request) > BIGGEST_BODY and request.path_info not in UNBOUNDED_PATHS:
            return errors.answer(request, 413)
        if _has_nul(request):
            raise BadRequest
        if (request.encoding or "utf-8").lower() not in {"utf-8", "utf8"}:
            return errors.answer(request, 415)
        return errors.explained(request, get_response(request))

    return middleware


def _body_size(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _has_nul(request: HttpRequest) -> bool:
    """A NUL byte stops PostgreSQL; a quoted cookie can carry one as well as an address."""
    return (
        "\0" in request.path_info
        or "%00" in request.META.get("QUERY_STRING", "")
        or any("\0" in value for value in request.COOKIES.values())
    )


def programs_first(get_response: Handler) -> Handler:
    """Answer at PROGRAM_PATHS at once: what follows in the chain is for browsers, and was a quarter of a token's cost.

    There is no session, no form, no policy for pages and no message in what registries and their clients ask. What is
    refused to everybody is refused to them, and trusted proxies were asked before.
    """
    views: dict[str, Handler] = {}

    def view(request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if path not in views:
            views[path] = resolve(path).func
        return views[path](request)

    short_way = sane_requests(view)

    def middleware(request: HttpRequest) -> HttpResponse:
        return short_way(request) if request.path_info in PROGRAM_PATHS else get_response(request)

    return middleware


def personal_answers(get_response: Handler) -> Handler:
    """Let no cache hand to one what was made for another: whatever a cookie had a part in.

    Views that ask for more, `no-store` say, have said so already.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if "cookie" in response.get("Vary", "").lower():
            response.setdefault("Cache-Control", "private, no-cache")
        return response

    return middleware
