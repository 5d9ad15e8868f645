"""What a client of the API sends: JSON or a form, in the body and behind the question mark, as Portus 2.4 took it."""

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any

from django.http import HttpRequest, QueryDict
from pydantic import BeforeValidator

from portus.fields import is_storable

JSON = "application/json"
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
DEEPEST = 10  # levels of `a[b][c]`

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


class UnknownTypeError(ValueError):
    """The body is neither JSON nor a form; the text is its type."""


class MalformedError(ValueError):
    """The body is not the JSON that it says it is."""


def _as_text(value: Any) -> Any:
    """Return the text that a number or a truth value stands for; null is no text, which the operations refuse."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) and not is_storable(value):
        raise ValueError("characters that no database stores")
    return value


Text = Annotated[str, BeforeValidator(_as_text)]


def read(request: HttpRequest) -> dict[str, Any]:
    """Return all parameters of a request; those in the body win. Raises UnknownTypeError and MalformedError."""
    body = request.body if request.method in METHODS_WITH_BODY else b""  # read before POST, which would use it up
    sent: dict[str, Any] = {}
    if body and request.content_type == JSON:
        sent = _from_json(body)
    elif body and request.content_type in FORMS:
        sent = _from_form(request.POST)
    elif body:
        raise UnknownTypeError(request.content_type)
    return {**_from_form(request.GET), **sent}


def _from_json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body, parse_constant=_refuse)
    except RecursionError as error:
        raise MalformedError("it is nested too deeply") from error
    except ValueError as error:
        raise MalformedError(str(error)) from error
    return content if isinstance(content, dict) else {}


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _from_form(form: QueryDict) -> dict[str, Any]:
    """Return `user[name]=x` as {"user": {"name": "x"}}, and `only[]=a&only[]=b` as a list."""
    content: dict[str, Any] = {}
    for key, values in form.lists():
        found = _KEY.fullmatch(key)
        path = [found[1], *re.findall(r"\[([^\[\]]*)\]", found[2])] if found else [key]
        if len(path) <= DEEPEST:
            _put(content, path, values)
    return content


def _put(content: dict[str, Any], path: list[str], values: Iterable[str]) -> None:
    value: Any = list(values)
    if path[-1] == "" and len(path) > 1:
        path = path[:-1]
    else:
        value = value[-1]
    *groups, name = path
    for group in groups:
        content = content.setdefault(group, {})
        if not isinstance(content, dict):
            return  # the same name for a value and for a group: the first one counts
    content.setdefault(name, value)
