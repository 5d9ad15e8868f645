"""The REST API: the object that holds it, the door in front of it, and how an exception becomes JSON.

Shapes and words are those of Portus 2.4, whose clients compare them.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache, wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    JsonResponse,
)
from django.shortcuts import render
from django.urls import Resolver404, URLPattern, path, re_path, resolve, reverse
from django.utils.safestring import mark_safe
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationErrorContext
from ninja.errors import ValidationError as SchemaError
from ninja.parser import Parser

from portus import VERSION, documentation, lists, parameters
from portus.accounts.api import router as accounts
from portus.accounts.backends import RETRY_AFTER_SECONDS
from portus.problems import RULES, reasons
from portus.registry.api import registries, registry_events
from portus.registry.api import router as health
from portus.teams.api import router as teams
from portus.teams.namespaces_api import router as namespaces
from portus.version_api import router as version

View = Callable[..., HttpResponseBase]

MOST_DIGITS = 18  # of the number of a row, which takes 64 bits


class _ReadBefore(Parser):
    """Gives the parameters that the door has read."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = request.parameters  # type: ignore[attr-defined]
        return found


class PortusAPI(NinjaAPI):
    def get_content_type(self) -> str:
        return parameters.JSON

    def validation_error_from_error_contexts(self, error_contexts: list[ValidationErrorContext[Any]]) -> SchemaError:
        """Name the parts of a group that is missing as a whole, too."""
        found = super().validation_error_from_error_contexts(error_contexts)
        schemas = {name: field.annotation for context in error_contexts for name, field in _fields(context.model)}
        for problem in [problem for problem in found.errors if problem["type"] == "missing"]:
            group = schemas.get(problem["loc"][1])
            for name in problem["loc"][2:]:
                group = dict(_fields(group)).get(name) and dict(_fields(group))[name].annotation
            parts = [name for name, field in _fields(group) if field.is_required()]
            found.errors += [{"type": "missing", "loc": (*problem["loc"], part)} for part in parts]
        return found


def _fields(schema: Any) -> list[tuple[str, Any]]:
    return list(getattr(schema, "model_fields", {}).items())


api = PortusAPI(
    title="Portus", version=VERSION, urls_namespace="api", openapi_url=None, docs_url=None, parser=_ReadBefore()
)
api.add_router("/v1", health)
api.add_router("/v1", accounts)
api.add_router("/v1", teams)
api.add_router("/v1", namespaces)
api.add_router("/v1", registries)
api.add_router("/v1", registry_events)
api.add_router("", version)


# Refusals


@api.exception_handler(ValidationError)
def unprocessable(_request: HttpRequest, error: ValidationError) -> HttpResponse:
    """422 with the reasons of each field; what concerns the whole record stands under `base`."""
    by_field = error.error_dict if hasattr(error, "error_dict") else {"base": error.error_list}
    if list(by_field) == ["base"] and error.error_list[0].code in RULES:
        return _message(422, error.messages[0])
    return _message(422, {
        "base" if field == "__all__" else field: reasons(several)
        for field, several in by_field.items()
    })  # fmt: skip


@api.exception_handler(SchemaError)
def malformed(_request: HttpRequest, error: SchemaError) -> HttpResponse:
    """400 with the reasons of each parameter. The name stands in a list in a text, `["user[email]"]`, as in 2.4.

    Under `errors` they stand a second time by their plain names: 2.4's command line client looks for them there.
    """
    bracketed: dict[str, list[str]] = {}
    plain: dict[str, list[str]] = {}
    for problem in error.errors:
        source, *where = map(str, problem["loc"])
        # What stands alone is a parameter of the path or the query, or the whole body; the rest is inside one of these.
        first, *rest = where[1:] or (["body"] if source == "body" else where)
        name = first + "".join(f"[{part}]" for part in rest)
        reason = "is missing" if problem["type"] == "missing" else "is invalid"
        bracketed.setdefault(f'["{name}"]', []).append(reason)
        plain.setdefault(rest[-1] if rest else first, []).append(reason)
    return _message(400, bracketed, errors=plain)


@api.exception_handler(PermissionDenied)
def forbidden(_request: HttpRequest, _error: PermissionDenied) -> HttpResponse:
    return _message(403, "Authorization fails")


@api.exception_handler(Http404)
def not_found(_request: HttpRequest, _error: Http404 | None = None) -> HttpResponse:
    return _message(404, "Not found")


@api.exception_handler(AuthenticationError)
def unauthenticated(_request: HttpRequest, _error: AuthenticationError) -> HttpResponse:
    return _message(401, "Authentication fails")


@api.exception_handler(HttpError)
def refused(_request: HttpRequest, error: HttpError) -> HttpResponse:
    response = _message(error.status_code, error.message)
    if error.status_code == 429:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _message(status: int, content: str | dict[str, list[str]], **more: Any) -> HttpResponse:
    return JsonResponse({"message": content, **more}, status=status)


# The door


def opened(view: View) -> View:
    """Read the parameters before the view is asked, and answer methods as Portus 2.4 did."""

    @wraps(view)
    def door(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        problem = not_found(request) if _beyond_numbers(kwargs.values()) else _unreadable(request)
        if problem:
            return problem
        method = request.method
        if method == "HEAD":
            request.method = "GET"
        response = view(request, *args, **kwargs)
        request.method = method  # the server sends no body in answer to HEAD
        if isinstance(response, HttpResponseNotAllowed):
            response = _options(response) if request.method == "OPTIONS" else not_found(request)
        response.setdefault("Cache-Control", "no-store")
        return response

    return door


def _beyond_numbers(found: Iterable[Any]) -> bool:
    """Return whether a path has a number that no row can have, and some databases fail at."""
    texts = map(str, found)
    return any(len(text) > MOST_DIGITS and text.isdecimal() for text in texts)


def _unreadable(request: HttpRequest) -> HttpResponse | None:
    """Keep what was sent; return an answer when it cannot be read."""
    wanted = request.GET.get("format", "json")
    if wanted != "json":
        return _message(406, f"The requested format '{wanted}' is not supported.")
    try:
        request.parameters = parameters.read(request)  # type: ignore[attr-defined]
    except parameters.UnknownTypeError as error:
        return _message(415, f"The provided content-type '{error}' is not supported.")
    except parameters.MalformedError as error:
        return _message(400, f"There was a problem in the JSON you submitted: {error}")
    if not request.body:
        request._body = b"{}"  # noqa: SLF001 - without a body ninja asks no parser, and parameters may stand in the query
    return None


def _options(refusal: HttpResponseNotAllowed) -> HttpResponse:
    methods = {"OPTIONS", *refusal["Allow"].split(", ")}
    allowed = methods | {"HEAD"} if "GET" in methods else methods
    return HttpResponse(status=204, headers={"Allow": ", ".join(sorted(allowed))})


# What it says of itself


@cache
def _document(server: str) -> documentation.Document:
    return documentation.document(api, server)


@csrf_exempt
@require_safe
def openapi(_request: HttpRequest, tag: str = "") -> HttpResponse:
    """Answer with the OpenAPI document, or with the part of it that Portus 2.4 called a resource."""
    whole = _document(settings.PORTUS.public_url)
    found = documentation.part(whole, tag) if tag else whole
    return JsonResponse(found) if found else _message(400, f"There is no resource '{tag}'.")


@csrf_exempt
@require_safe
def browse(request: HttpRequest) -> HttpResponse:
    """Show that document to a person."""
    options = {"url": f"{reverse('api:openapi')}.json", "layout": "BaseLayout", "deepLinking": True}
    return render(request, "web/api.html", {"settings": mark_safe(lists.encode(options))})  # noqa: S308 - nobody's text


@csrf_exempt
def lost(request: HttpRequest) -> HttpResponseBase:
    """Answer what no endpoint does: with one slash where there were several, if that helps, else by 404."""
    cleaned = re.sub("/{2,}", "/", request.path_info)
    if cleaned != request.path_info:
        request.path_info = cleaned
        try:
            found = resolve(cleaned)
        except Resolver404:
            return not_found(request)
        answer: HttpResponseBase = found.func(request, *found.args, **found.kwargs)
        return answer
    return not_found(request)


def _with_suffixes(pattern: URLPattern) -> list[URLPattern]:
    """Return the path of an endpoint as it is, with `.json`, and with a slash behind it."""
    view, route = opened(pattern.callback), str(pattern.pattern)
    return [path(route, view, name=pattern.name), *(path(route + suffix, view) for suffix in (".json", "/"))]


_DOCUMENTATION = [
    path("openapi", openapi, name="openapi"),
    path("openapi-spec", openapi),
    path("openapi-spec/<slug:tag>", openapi),
    path("docs", browse, name="docs"),
]
urlpatterns = [
    *(
        each
        for pattern in api.urls[0]
        if isinstance(pattern, URLPattern) and pattern.name != "api-root"
        for each in _with_suffixes(pattern)
    ),
    *(each for pattern in _DOCUMENTATION for each in _with_suffixes(pattern)),
    re_path("", lost),
]
