"""Who asks the API.

A credential in a header is the one that counts; it never falls back to the session. Without one the session does, and
its writes need the CSRF token. What is for administrators alone is refused here, before any parameter is looked at.
"""

from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from ninja.errors import AuthenticationError
from ninja.security import HttpBearer
from ninja.security.apikey import APIKeyCookie, APIKeyHeader

from portus.accounts.backends import touch
from portus.accounts.models import ApplicationToken, User, name_key, token_digest
from portus.fields import is_storable

HEADER = "Portus-Auth"


class _Door:
    """What the three credentials have in common: who came in, and whether that is enough."""

    admins_only = False

    def let_in(self, request: HttpRequest, user: User, *, by_session: bool) -> User:
        if self.admins_only and not user.admin:
            raise PermissionDenied
        request.user = user
        # Portus 2.4 told its own pages more than it told programs.
        request.by_session = by_session  # type: ignore[attr-defined]
        return user


class PortusHeader(_Door, APIKeyHeader):
    """`Portus-Auth: <user name>:<application token>`; what follows a second colon is ignored, as in Portus 2.4."""

    param_name = HEADER

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        if key is None:
            return None
        name, _, rest = key.partition(":")
        return self.let_in(request, owner_of(rest.partition(":")[0], name), by_session=False)


class BearerToken(_Door, HttpBearer):
    """`Authorization: Bearer <application token>`."""

    def __call__(self, request: HttpRequest) -> Any:
        user = super().__call__(request)
        if user is None and "Authorization" in request.headers:
            refuse()
        return user

    def authenticate(self, request: HttpRequest, token: str) -> User:
        return self.let_in(request, owner_of(token.strip()), by_session=False)


class Session(_Door, APIKeyCookie):
    """The session of somebody who is signed in in a browser."""

    param_name = settings.SESSION_COOKIE_NAME

    def _get_key(self, request: HttpRequest) -> str | None:
        # Who has no session has nothing that a forged form could use, and is asked for a credential instead.
        return super()._get_key(request) if isinstance(request.user, User) else None

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:  # noqa: ARG002 - Django reads it
        user = request.user
        return self.let_in(request, user, by_session=True) if isinstance(user, User) else None


def asker(request: HttpRequest) -> User:
    """Return who asks, in an endpoint that lets in nobody without an account."""
    assert isinstance(request.user, User)  # noqa: S101 - narrows the type; nobody else gets there
    return request.user


def owner_of(value: str, username: str | None = None) -> User:
    """Return whose application token this is; refuse the request when it is nobody's, or not that user's."""
    if not value or not is_storable(value):
        refuse()
    found = ApplicationToken.objects.usable().select_related("user").filter(digest=token_digest(value)).first()
    if found is None or not found.user.is_active:
        refuse()
    if username is not None and name_key(username) != found.user.username_key:
        refuse()
    touch(found.pk)
    return found.user


def refuse() -> NoReturn:
    raise AuthenticationError


def _only_for_admins(door: type[Any]) -> Any:
    made = door()
    made.admins_only = True
    return made


SIGNED_IN = [PortusHeader(), BearerToken(), Session()]
ADMINS = [_only_for_admins(door) for door in (PortusHeader, BearerToken, Session)]
