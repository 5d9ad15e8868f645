"""Checking who somebody is: application tokens first, then the password. Web, API and token service come here.

Three things keep a flood of wrong passwords from hurting others: a verdict is remembered for a minute, so the same
credentials are hashed once; hashing happens in a bounded room where each client has one place, and whoever finds none
is told to come again; and a name with ten different wrong passwords in ten minutes has no more passwords checked.
Application tokens and open sessions never pass through any of them.
"""

import base64
import hmac
import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import NamedTuple

from cachetools import TTLCache
from django.conf import settings
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.hashers import make_password, verify_password
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections
from django.http import HttpRequest
from django.utils import timezone

from portus.accounts import hashing
from portus.accounts.models import (
    LOCK_WINDOW,
    LONGEST_PASSWORD,
    ApplicationToken,
    SignInFailure,
    User,
    name_key,
    token_digest,
)
from portus.fields import is_storable, upsert

logger = logging.getLogger(__name__)

FAILURES_UNTIL_LOCK = 10
VERDICT_SECONDS = 60
TOUCH_SECONDS = 60  # how exact "last used" of an application token is
LONGEST_NAME = 255  # characters, as the columns have them
RETRY_AFTER_SECONDS = hashing.RETRY_AFTER_SECONDS
BUSY_TIMEOUT_MS = 50  # how long "last used" waits for a busy SQLite before it is left for the next time


class Outcome(Enum):
    OK = auto()
    WRONG = auto()
    LOCKED = auto()  # too many wrong passwords for this name; says nothing about whether somebody has it
    DISABLED = auto()  # said only to somebody who knew the password or held a token
    BUSY = auto()  # ask again after RETRY_AFTER_SECONDS


@dataclass(frozen=True, slots=True)
class Account:
    """What the token service needs to know of a user who has proved who she is."""

    pk: int
    username: str
    admin: bool


class _Credentials(NamedTuple):
    """The answer of the one look-up: the user of that name, the token if the password is one, recent failures.

    Nothing but the failures is there, and all is None, where nobody has the name. Some databases say 1 for true.
    """

    failures: int
    user_id: int | None
    username: str | None
    admin: bool | None
    bot: bool | None
    enabled: bool | None
    password_hash: str | None
    token_id: int | None
    token_untouched: bool | None

    @property
    def account(self) -> Account | None:
        return None if self.user_id is None else Account(self.user_id, self.username or "", bool(self.admin))


_LOOK_UP = """
SELECT f.failures, u.id, u.username, u.admin, u.bot, u.enabled, u.password, t.id,
       t.last_used_at IS NULL OR t.last_used_at < %s
FROM (SELECT COUNT(*) AS failures FROM accounts_signinfailure WHERE name_key = %s AND failed_at > %s) f
LEFT JOIN accounts_user u ON u.username_key = %s
LEFT JOIN accounts_applicationtoken t
       ON t.user_id = u.id AND t.digest = %s AND (t.expires_at IS NULL OR t.expires_at > %s)
"""


def parse_basic(header: str) -> tuple[str, str] | None:
    """Return user name and password of an `Authorization: Basic` header, or None when it is not a sound one."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:  # neither Base64 nor UTF-8
        return None
    return (name, password) if colon and "\0" not in name else None


def authenticate_basic(username: str, password: str, *, address: str = "") -> tuple[Outcome, Account | None]:
    """Check a user name with an application token or a password, for the client at `address`.

    The account is there exactly when the outcome is OK. One statement for a token, one more for a password at most.
    """
    if not is_storable(username) or not is_storable(password):
        return Outcome.WRONG, None  # nobody has such a name, and no database could be asked for it
    found = _look_up(username, password)
    if found.token_id is None:
        return _check_password(found, username, password, address)
    if not found.enabled:
        return Outcome.DISABLED, None
    if found.token_untouched:
        touch(found.token_id)
    return Outcome.OK, found.account


def check_password(username: str, password: str, *, address: str = "") -> tuple[Outcome, User | None]:
    """Check a password for the sign-in page, which takes no application tokens, for the client at `address`.

    The user is there exactly when the outcome is OK.
    """
    if not is_storable(username) or not is_storable(password):
        return Outcome.WRONG, None
    outcome, account = _check_password(_look_up(username, ""), username, password, address)
    return outcome, User.objects.get(pk=account.pk) if account else None


def is_locked(username: str) -> bool:
    return _look_up(username, "").failures >= FAILURES_UNTIL_LOCK


class PasswordBackend(BaseBackend):
    """Django's door to the same check, for its own callers; the sign-in form asks `check_password` for the reason."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_: object,
    ) -> User | None:
        if username is None or password is None:
            return None
        return check_password(username, password, address=client_address(request) if request else "")[1]

    def get_user(self, user_id: int) -> User | None:
        """Return the user of a session; none when the account was disabled since, which ends the session."""
        return User.objects.filter(pk=user_id, is_active=True).first()


def client_address(request: HttpRequest) -> str:
    """Return whose share of the hashing a request takes; `trusted_proxies` has seen to it that this is no proxy."""
    return str(request.META.get("REMOTE_ADDR", ""))


def _look_up(username: str, password: str) -> _Credentials:
    now = timezone.now()
    key = name_key(username)
    database = connections[DEFAULT_DB_ALIAS]  # once: the usual `connection` looks for it at each of its attributes
    as_stored = database.ops.adapt_datetimefield_value
    parameters = (
        as_stored(now - timedelta(seconds=TOUCH_SECONDS)),
        key,
        as_stored(now - LOCK_WINDOW),
        key,
        token_digest(password),
        as_stored(now),
    )
    with database.cursor() as cursor:
        cursor.execute(_LOOK_UP, parameters)
        return _Credentials(*cursor.fetchone())


def touch(token_id: int) -> None:
    """Write when the token was last used, unless another request just did or the database is busy."""
    now = timezone.now()
    try:
        with _short_wait():
            ApplicationToken.objects.filter(pk=token_id).exclude(
                last_used_at__gte=now - timedelta(seconds=TOUCH_SECONDS)
            ).update(last_used_at=now)
    except DatabaseError:
        return  # a date shown on a page is not worth making a pull wait


@contextmanager
def _short_wait() -> Iterator[None]:
    """Let SQLite give up early where a write does not matter; the other databases lock rows, not files."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        usual = cursor.fetchone()[0]
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {int(usual)}")


def _check_password(found: _Credentials, username: str, password: str, address: str) -> tuple[Outcome, Account | None]:
    if found.failures >= FAILURES_UNTIL_LOCK:
        return Outcome.LOCKED, None
    key = name_key(username)
    if not password or len(password) > LONGEST_PASSWORD or len(key) > LONGEST_NAME:
        return Outcome.WRONG, None
    # A bot's password opens nothing, and an unknown name costs as much time as a known one.
    stored = "" if found.bot else (found.password_hash or "")

    def find() -> bool | None:
        verdict = hashing.room.hash(address, lambda: _verify(found, stored, password))
        if verdict is False:
            _count_failure(key, password)
        return verdict

    verdict = _verdicts.get_or_find(_verdicts.fingerprint(key, stored, password), find, hashing.room.wait)
    if verdict is None:
        return Outcome.BUSY, None
    if not verdict:
        return Outcome.WRONG, None
    # The failures stay until they are too old: a stranger could else guess on after each of the owner's own sign-ins.
    return (Outcome.OK, found.account) if found.enabled else (Outcome.DISABLED, None)


def _verify(found: _Credentials, stored: str, password: str) -> bool:
    """Compare, taking as long for an unknown user as for a known one; replace the hash when it is an old one."""
    if not stored:
        make_password(password)
        return False
    try:
        correct, outdated = verify_password(password, stored)
    except ValueError:
        logger.warning("The stored password of user %s is no hash; it opens nothing.", found.user_id)
        return False
    if correct and outdated and found.user_id:
        # Only if it is still the hash that was compared: a change of password meanwhile wins.
        User.objects.filter(pk=found.user_id, password=stored).update(password=make_password(password))
    return correct


def _count_failure(key: str, password: str) -> None:
    """Note a wrong password for a name in one statement; the same one again only moves its time."""
    fingerprint = hmac.digest(settings.SECRET_KEY.encode(), f"{key}\0{password}".encode(), "sha256").hex()
    failure = SignInFailure(name_key=key, fingerprint=fingerprint, failed_at=timezone.now())
    upsert(failure, key=["name_key", "fingerprint"], fields=["failed_at"])


class _Verdicts:
    """Verdicts on passwords of the last minute, in the memory of this process, under a hash keyed for its lifetime."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._known: TTLCache[bytes, bool] = TTLCache(maxsize=4096, ttl=VERDICT_SECONDS)
        self._being_found: dict[bytes, threading.Event] = {}

    def fingerprint(self, key: str, stored: str, password: str) -> bytes:
        """Return what a verdict is filed under; a changed password gives another one at once."""
        return hmac.digest(self._key, f"{key}\0{stored}\0{password}".encode(), "sha256")

    def get_or_find(
        self, fingerprint: bytes, find: Callable[[], bool | None], wait: Callable[[Callable[[float], bool]], bool]
    ) -> bool | None:
        """Return a verdict that is known, else what `find` returns, which is None when there was no time for it.

        Who asks the same while it is being found waits for it, if `wait` has room: a client that starts with several
        requests at once takes up one place.
        """
        with self._lock:
            known = self._known.get(fingerprint)
            if known is not None:
                return known
            others = self._being_found.get(fingerprint)
            if others is None:
                mine = self._being_found[fingerprint] = threading.Event()
        if others:
            wait(others.wait)
            with self._lock:
                return self._known.get(fingerprint)
        try:
            return self._keep(fingerprint, find())
        finally:
            with self._lock:
                del self._being_found[fingerprint]
            mine.set()

    def _keep(self, fingerprint: bytes, verdict: bool | None) -> bool | None:
        if verdict is not None:
            with self._lock:
                self._known[fingerprint] = verdict
        return verdict

    def clear(self) -> None:
        with self._lock:
            self._known.clear()


_verdicts = _Verdicts()
