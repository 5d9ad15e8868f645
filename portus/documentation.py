"""The description of the API for programs and people: what the code says of itself, and what holds for all of it.

Errors are answered in one place (`portus.api`), so their shapes are written down in one place, too.
"""

import re
from copy import deepcopy
from typing import Any

from ninja import NinjaAPI

Document = dict[str, Any]

ABOUT = """
The API of Portus 2.4, whose clients work unchanged, and what came later.

**Who asks.** Send an application token, `Portus-Auth: <user name>:<token>` or `Authorization: Bearer <token>`. A
browser that is signed in needs neither; its writes carry the CSRF token (`X-CSRFToken`).

**Parameters** are read from the path, the query and the body, which is JSON or a form (`user[email]=...`); what is not
known is ignored. Every path may end in `.json`.

**Lists** are complete without paging parameters. With `page` or `per_page` they come in pages, and `Link`, `X-Total`,
`X-Page`, `X-Next-Page` and their like tell where you are; `after` goes on from a number.
"""

_SENTENCE: Document = {"type": "string"}
_REASONS: Document = {"type": "array", "items": {"type": "string"}}
_BY_FIELD: Document = {"type": "object", "additionalProperties": {"anyOf": [_REASONS, _SENTENCE]}}
SCHEMAS: Document = {
    "Problem": {
        "type": "object",
        "description": "Why the request was refused.",
        "properties": {"message": {**_SENTENCE, "description": "The reason."}},
        "required": ["message"],
    },
    "ParameterProblem": {
        "type": "object",
        "description": "What is wrong with the shape of the request.",
        "properties": {
            "message": {
                "anyOf": [_SENTENCE, {"type": "object", "additionalProperties": _REASONS}],
                "description": 'The reason; or reasons by parameter, whose name stands in a list: `["user[email]"]`.',
            },
            "errors": {
                "type": "object",
                "additionalProperties": _REASONS,
                "description": "The same reasons by the plain names of the parameters.",
            },
        },
        "required": ["message"],
    },
    "RuleProblem": {
        "type": "object",
        "description": "Which rule the request breaks.",
        "properties": {
            "message": {
                "anyOf": [_SENTENCE, _REASONS, _BY_FIELD],
                "description": "The rule; or reasons by field, `base` for what concerns no field alone.",
            }
        },
        "required": ["message"],
    },
}
# What each status means, and the schema of its body.
ERRORS = {
    400: ("The request has the wrong shape.", "ParameterProblem"),
    401: ("There is no credential, or it is wrong.", "Problem"),
    403: ("You may not do this.", "Problem"),
    404: ("There is no such thing, or it is not open to you.", "Problem"),
    405: ("This is switched off.", "Problem"),
    406: ("The answer is JSON, and nothing else.", "Problem"),
    413: ("The request is too large.", "Problem"),
    415: ("The body is neither JSON nor a form.", "Problem"),
    422: ("A rule says no.", "RuleProblem"),
    429: ("Too many requests; `Retry-After` tells when to come again.", "Problem"),
    503: ("The database does not answer at the moment.", "Problem"),
}
SECURITY = {
    "PortusHeader": "`<user name>:<application token>`",
    "BearerToken": "An application token.",
    "Session": "The cookie of somebody who is signed in; writes need the CSRF token, too.",
}
# Beyond what follows from an operation's method and parameters.
MORE_STATUSES = {"/api/v1/users/bootstrap": {405}}


def document(api: NinjaAPI, server: str) -> Document:
    """Return the OpenAPI document of everything that the API does at the address `server`."""
    made: Document = deepcopy(dict(api.get_openapi_schema(path_prefix="/api/")))
    made["info"]["description"] = ABOUT.strip()
    made["servers"] = [{"url": server}]
    components = made["components"]
    components["schemas"] |= deepcopy(SCHEMAS)
    components["responses"] = {_name(status): _response(status) for status in ERRORS}
    for name, meaning in SECURITY.items():
        components["securitySchemes"][name] = {**components["securitySchemes"][name], "description": meaning}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return made


def part(whole: Document, tag: str) -> Document | None:
    """Return the document with the operations of one tag alone; None when there are none."""
    paths = {
        path: {method: operation for method, operation in operations.items() if tag in operation["tags"]}
        for path, operations in whole["paths"].items()
    }
    paths = {path: operations for path, operations in paths.items() if operations}
    return {**whole, "paths": paths} if paths else None


def _complete(path: str, method: str, operation: Document) -> None:
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            parameter.setdefault("description", f"Number of the {_thing(path, parameter['name'])}.")
        parameter["schema"] = _without_null(parameter["schema"])
    for status in sorted(_statuses(path, method, operation)):
        operation["responses"].setdefault(status, {"$ref": f"#/components/responses/{_name(status)}"})


def _statuses(path: str, method: str, operation: Document) -> set[int]:
    """Return the statuses with which this operation may refuse."""
    statuses = {400, 406, 413, 429, 503} | MORE_STATUSES.get(path, set())
    if "security" in operation:
        statuses |= {401, 403}
    if "{" in path or "requestBody" in operation:  # what is named in a body may be missing as well
        statuses.add(404)
    if method != "get":
        statuses |= {415, 422}
    return statuses


def _thing(path: str, parameter: str) -> str:
    """Return what a number in a path counts: `/registries/{id}` a registry, `{member_id}` a member."""
    if parameter != "id":
        return parameter.removesuffix("_id").replace("_", " ")
    plural = path.partition("/{id}")[0].rpartition("/")[2].replace("_", " ")
    return re.sub("ies$", "ys", plural).removesuffix("s")


def _without_null(schema: Document) -> Document:
    """Return the schema of a parameter in an address, which can be left out, but cannot be null."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) != 1:
        return schema
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **choices[0]}


def _name(status: int) -> str:
    return f"Status{status}"


def _response(status: int) -> Document:
    meaning, schema = ERRORS[status]
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    described: Document = {"description": meaning, "content": content}
    if status == 429:
        seconds = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        described["headers"] = {"Retry-After": seconds}
    return described
