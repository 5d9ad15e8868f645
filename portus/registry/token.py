"""The token service: a registry sends its clients here, and they come back with what we signed.

The view is the table of contents: parse, authenticate, authorise, sign. At most two statements, one more for a
password; the SQL is written by hand here because building a query costs ten times what running it does.
Sources: distribution's token authentication specification (`spec/auth/token`, `spec/auth/jwt`, `spec/auth/scope`).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from portus import policy
from portus.accounts.backends import (
    RETRY_AFTER_SECONDS,
    Account,
    Outcome,
    authenticate_basic,
    client_address,
    parse_basic,
)
from portus.accounts.models import name_key
from portus.policy import Standing
from portus.registry import signing
from portus.teams.models import Role, Visibility

MOST_SCOPES = 100
JSON = "application/json; charset=utf-8"

# Every action that a token can carry, and the rule that grants it. `*` is what registries up to 2.6 ask for a
# deletion, but all of them take it for every action, so it asks for all. Any other word is dropped.
ACTIONS: dict[str, Callable[[Standing], bool]] = {
    "pull": policy.can_pull,
    "push": policy.can_push,
    "delete": policy.can_delete,
    "*": policy.can_do_everything,
}

REFUSALS = {
    Outcome.WRONG: "Invalid user name or password.",
    Outcome.LOCKED: "Too many wrong passwords for this name; try again in ten minutes, or use an application token.",
    Outcome.DISABLED: "This account has been disabled.",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """One `type:name:actions` of a request. Two with the same type and name are one."""

    type: str
    name: str
    actions: tuple[str, ...]

    @property
    def namespace(self) -> str | None:
        """The first part of the repository's name, "" for the global namespace, None for a name that is none."""
        path = self.name
        host, slash, rest = path.partition("/")
        if slash and ":" in host:  # host:port in front; no component of a name has a colon, so it can be nothing else
            path = rest
        first, slash, rest = path.partition("/")
        if not first or (slash and not rest):
            return None
        return first if slash else ""


@dataclass(frozen=True, slots=True)
class RegistryRights:
    """What one statement told about a registry: how it wants its keys named, and how the user stands to namespaces."""

    key_header: str
    standings: dict[str, Standing] = field(default_factory=dict)  # by name; "" is the global namespace


class Refused(Exception):
    """The request gets this answer instead of a token."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__()
        self.response = response


@csrf_exempt
def token(request: HttpRequest) -> HttpResponse:
    if request.method not in {"GET", "HEAD"}:
        raise Http404  # clients that try OAuth2's POST take 404 for "use GET", as with Portus 2.4
    try:
        user = authenticate(request)
        scopes = parse_scopes(request.GET.getlist("scope"))
    except Refused as refused:
        return refused.response
    service = request.GET.get("service", "")
    registry = rights(user, service, scopes)
    # A registry that we do not know gets a token that opens nothing.
    access = grant(user, registry, scopes) if registry else []
    said = signing.claims(
        subject=user.username if user else "", audience=service, access=access, seconds=_life_seconds()
    )
    return answer(said, registry)


@require_safe
def ping(request: HttpRequest) -> HttpResponse:
    """Answer `GET /v2/` as Portus 2.4 did: 200 for somebody whom we know, else the challenge."""
    try:
        known = authenticate(request) is not None or request.user.is_authenticated
    except Refused as refused:
        return refused.response
    return HttpResponse() if known else _unauthorized(REFUSALS[Outcome.WRONG])


@require_safe
def jwks(_request: HttpRequest) -> HttpResponse:
    """List our public keys, for a distribution 3.x that is configured with `jwks`."""
    return JsonResponse(signing.jwks())


def authenticate(request: HttpRequest) -> Account | None:
    """Return who the Basic credentials prove, None for a request without any; raise Refused for wrong ones.

    A session cookie is not looked at, and the `account` parameter never decides who somebody is.
    """
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    credentials = parse_basic(header)
    if credentials is None:
        raise Refused(_unauthorized(REFUSALS[Outcome.WRONG]))
    account = request.GET.get("account")
    if account and account != credentials[0] and name_key(account) != name_key(credentials[0]):
        raise Refused(_error(400, "DENIED", "The account parameter names somebody else than the credentials."))
    outcome, user = authenticate_basic(*credentials, address=client_address(request))
    if outcome is Outcome.BUSY:
        response = _error(429, "TOOMANYREQUESTS", "Too many passwords are being checked; try again in a moment.")
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        raise Refused(response)
    if user is None:
        raise Refused(_unauthorized(REFUSALS[outcome]))
    return user


def parse_scopes(values: Sequence[str]) -> list[Scope]:
    """Return the scopes asked for, each once; raise Refused (401, as Portus 2.4) for what is not one.

    `scope` may be repeated and may hold several, separated by blanks. The name may hold colons (host:port), so the
    type ends at the first colon and the actions begin after the last.
    """
    found: dict[tuple[str, str], dict[str, None]] = {}
    texts = [text for value in values for text in (value.split() or [""])]
    if len(texts) > MOST_SCOPES:
        raise Refused(HttpResponse(status=401))
    for text in texts:
        kind, first_colon, rest = text.partition(":")
        name, last_colon, actions = rest.rpartition(":")
        if not (first_colon and last_colon) or kind not in {"repository", "registry"}:
            raise Refused(HttpResponse(status=401))
        found.setdefault((kind, name), {}).update(dict.fromkeys(filter(None, actions.split(","))))
    return [Scope(kind, name, tuple(actions)) for (kind, name), actions in found.items()]


def rights(user: Account | None, service: str, scopes: Iterable[Scope]) -> RegistryRights | None:
    """Return how `user` stands to the namespaces of `scopes` in the registry called `service`; None if there is none.

    A registry is found by its host name, else by its external one. One statement.
    """
    if not service or "\0" in service:
        return None
    names = {scope.namespace for scope in scopes if scope.type == "repository"} - {None}
    wanted, parameters = _namespace_condition(sorted(name for name in names if name is not None))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT r.id, r.hostname = %s, r.token_key_header,
                   n.name, n.global_marker, n.visibility, n.personal_owner_id, m.role
            FROM registry_registry r
            LEFT JOIN teams_namespace n ON n.registry_id = r.id AND ({wanted})
            LEFT JOIN teams_membership m ON m.team_id = n.team_id AND m.user_id = %s
            WHERE r.hostname = %s OR r.external_hostname = %s
            """,  # noqa: S608 - only placeholders are put in
            [service, *parameters, user.pk if user else None, service, service],
        )
        rows = cursor.fetchall()
    if not rows:
        return None
    registry_id, _, key_header = max(rows, key=lambda row: bool(row[1]))[:3]
    standings = {
        "" if row[4] else row[3]: _standing(user, *row[4:]) for row in rows if row[0] == registry_id and row[3]
    }
    return RegistryRights(key_header, standings)


def _namespace_condition(names: list[str]) -> tuple[str, list[str]]:
    own = [name for name in names if name]
    parts = []
    if "" in names:
        parts.append("n.global_marker")
    if own:
        parts.append(f"n.name IN ({', '.join(['%s'] * len(own))})")
    return " OR ".join(parts) or "1 = 0", own


def _standing(
    user: Account | None,
    is_global: bool | None,
    visibility: int,
    personal_owner_id: int | None,
    role: int | None,
) -> Standing:
    return Standing(
        user_id=user.pk if user else None,
        admin=user is not None and user.admin,
        kind=policy.kind_of(is_global=bool(is_global), personal_owner_id=personal_owner_id),
        visibility=Visibility(visibility),
        role=None if role is None else Role(role),
        owns_personal=user is not None and personal_owner_id == user.pk,
    )


def grant(user: Account | None, registry: RegistryRights, scopes: Iterable[Scope]) -> list[dict[str, object]] | None:
    """Return the part of `scopes` that the policy grants, in the order asked; None when nothing was asked (a login)."""
    asked = False
    access: list[dict[str, object]] = []
    for scope in scopes:
        asked = True
        actions = _granted(user, registry, scope)
        if actions:
            access.append({"type": scope.type, "name": scope.name, "actions": actions})
    return access if asked else None


def _granted(user: Account | None, registry: RegistryRights, scope: Scope) -> list[str]:
    if scope.type == "registry":
        catalog = scope.name == "catalog" and "*" in scope.actions
        return ["*"] if catalog and policy.can_use_catalog(user) else []
    standing = None if scope.namespace is None else registry.standings.get(scope.namespace)
    if standing is None:
        return []
    return [action for action in scope.actions if action in ACTIONS and ACTIONS[action](standing)]


def answer(said: dict[str, Any], registry: RegistryRights | None) -> HttpResponse:
    """Sign the claims; the token stands in the answer under the names that both generations of clients read."""
    signed = signing.sign(said, registry.key_header if registry else "")
    body = {
        "token": signed,
        "access_token": signed,
        "expires_in": said["exp"] - said["iat"],
        "issued_at": datetime.fromtimestamp(said["iat"], _zone(settings.TIME_ZONE)).isoformat(),
    }
    return HttpResponse(json.dumps(body), content_type=JSON, headers={"Cache-Control": "no-store"})


def _life_seconds() -> int:
    return 60 * settings.PORTUS.registry.jwt_expiration_time.value


_zone = lru_cache(ZoneInfo)


def _unauthorized(message: str) -> HttpResponse:
    response = _error(401, "UNAUTHORIZED", message)
    response["WWW-Authenticate"] = 'Basic realm="Application"'
    return response


def _error(status: int, code: str, message: str) -> HttpResponse:
    """Say it twice: `error` is what Portus 2.4 answered, `errors` is what container clients print."""
    body = {"error": message, "errors": [{"code": code, "message": message, "detail": None}]}
    return HttpResponse(json.dumps(body), status=status, content_type=JSON, headers={"Cache-Control": "no-store"})
