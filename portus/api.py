"""The REST API: the object that holds it, and how an exception becomes JSON in the shape that 2.4's clients know."""

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.errors import ValidationError as SchemaError

from portus import VERSION
from portus.accounts.api import router as accounts
from portus.registry.api import router as registry

api = NinjaAPI(title="Portus", version=VERSION, urls_namespace="api", openapi_url=None, docs_url=None)
api.add_router("/v1", registry)
api.add_router("/v1", accounts)

# The words of Portus 2.4 for reasons that clients compare.
REASONS = {
    "blank": "can't be blank",
    "null": "can't be blank",
    "unique": "has already been taken",
    "invalid": "is invalid",
    "password_too_short": "is too short (minimum is 8 characters)",
    "max_length": "is too long (maximum is {limit} characters)",
}


@api.exception_handler(ValidationError)
def unprocessable(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """422 with the reasons of each field; what concerns the whole record stands under `base`."""
    by_field = error.error_dict if hasattr(error, "error_dict") else {"base": error.error_list}
    reasons = {
        "base" if field == "__all__" else field: [_reason(one) for one in several]
        for field, several in by_field.items()
    }
    return _message(request, reasons, 422)


@api.exception_handler(SchemaError)
def malformed(request: HttpRequest, error: SchemaError) -> HttpResponse:
    """400 with the reasons of each parameter, named as the client writes it: `user[username]`."""
    reasons: dict[str, list[str]] = {}
    for problem in error.errors:
        location = [str(part) for part in problem["loc"][2:]] or ["body"]
        name = location[0] + "".join(f"[{part}]" for part in location[1:])
        reasons.setdefault(name, []).append("is missing" if problem["type"] == "missing" else "is invalid")
    return _message(request, reasons, 400)


@api.exception_handler(PermissionDenied)
def forbidden(request: HttpRequest, _error: PermissionDenied) -> HttpResponse:
    return _message(request, "Authorization fails", 403)


@api.exception_handler(Http404)
def not_found(request: HttpRequest, _error: Http404) -> HttpResponse:
    return _message(request, "Not found", 404)


@api.exception_handler(HttpError)
def refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    return _message(request, error.message, error.status_code)


def _message(request: HttpRequest, content: Any, status: int) -> HttpResponse:
    return api.create_response(request, {"message": content}, status=status)


def _reason(error: ValidationError) -> str:
    template = REASONS.get(error.code or "")
    if template is None:
        return " ".join(error.messages)
    limit = (error.params or {}).get("limit_value", "")
    return template.format(limit=limit)
