"""What happens to accounts and application tokens."""

import copy
import secrets
import string
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from portus.accounts import hashing
from portus.accounts.models import (
    LOCK_WINDOW,
    LONGEST_PASSWORD,
    RESERVED_NAMES,
    TOKENS_PER_USER,
    ApplicationToken,
    SignInFailure,
    SignUpLock,
    User,
    name_key,
    token_digest,
)
from portus.accounts.sign_ups import WINDOW_SECONDS, sign_ups
from portus.activities.operations import record
from portus.fields import insert_once, is_storable, upsert
from portus.registry.models import Registry
from portus.teams.namespaces import create_personal_namespace, namespace_name_for
from portus.teams.operations import join_global_teams

TOKEN_ALPHABET = string.ascii_letters + string.digits
TOKEN_LENGTH = 40
BOOTSTRAP_TOKEN = "bootstrap"  # noqa: S105 - its name


class NotEmpty(Exception):
    """There are users already, so the first one cannot be made."""


class TryLater(Exception):
    """Too much is asked for at this moment; in so many seconds it may be otherwise."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


# Users


def sign_up(*, username: str, email: str, password: str, display_name: str = "", address: str | None = None) -> User:
    """Create an account for somebody who asks for one; the first becomes administrator where `first_user_admin` is on.

    `address` is that of a client whom nobody knows yet, and who may therefore not ask for too much.
    Raises ValidationError with the reasons of each field, TryLater.
    """
    if address is not None and sign_ups.are_too_many(address):
        raise TryLater(
            "Many accounts have been made from your address. Try again in ten minutes, or ask an administrator.",
            WINDOW_SECONDS,
        )
    user = User(username=username, email=email, display_name=display_name)
    _check_new(user, password, address)
    with transaction.atomic():
        wait_for_sign_ups()
        user.admin = not User.objects.exists() and settings.PORTUS.first_user_admin.enabled
        _insert(user, actor=user)
    if address is not None:
        sign_ups.count(address, user.pk)
    return user


def bootstrap(
    *, username: str, email: str, password: str, display_name: str = "", address: str | None = None
) -> tuple[User, str]:
    """Create the first user, an administrator; return her with the value of an application token.

    Raises NotEmpty when there are users, ValidationError with the reasons of each field, TryLater.
    """
    if User.objects.exists():
        raise NotEmpty
    user = User(username=username, email=email, display_name=display_name, admin=True)
    _check_new(user, password, address)
    with transaction.atomic():
        wait_for_sign_ups()
        if User.objects.exists():
            raise NotEmpty
        _insert(user, actor=user)
        return user, create_token(user, BOOTSTRAP_TOKEN, actor=user)[1]


def create_user(
    *,
    username: str,
    email: str,
    password: str | None,
    display_name: str = "",
    admin: bool = False,
    bot: bool = False,
    actor: User | None = None,
) -> User:
    """Create a person with her personal namespaces, or a bot, which has neither those nor a password.

    Without an actor she did it herself. Raises ValidationError with the reasons of each field.
    """
    user = User(username=username, email=email, display_name=display_name, admin=admin, bot=bot)
    _check_new(user, password)
    with transaction.atomic():
        wait_for_sign_ups()
        _insert(user, actor=actor or user)
    return user


def change_password(user: User, password: str, *, actor: User) -> None:
    """Set a person's password; raise ValidationError when it breaks the rules. Her sessions end but the renewed one."""
    _check_password(password, user)
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password", "updated_at"])
        record("user.change_password", user, actor=actor)


def update_user(user: User, *, password: str | None = None, actor: User, **details: str) -> None:
    """Set what is given and differs of username, email, display_name and password, all of it or nothing.

    What is not given is not checked: accounts from other databases may break a rule or two. A new user name changes
    neither the personal namespace nor what the trail and tags say of the past. Raises ValidationError by field.
    """
    changed = copy.copy(user)
    for field, value in details.items():
        setattr(changed, field, value)
    problems = _account_problems(changed, password)
    _refuse({field: errors for field, errors in problems.items() if field in {*details, "password"}})
    fields = [field for field in details if getattr(user, field) != getattr(changed, field)]
    columns = [*fields, "updated_at", *(["username_key"] if "username" in fields else [])]
    if password is not None:
        changed.set_password(password)
    with transaction.atomic():
        lock_user(user)
        if fields:
            old = user.username
            _save_account(changed, update_fields=columns)
            user.refresh_from_db()
            record("user.update", user, actor=actor, fields=", ".join(fields), old=old)
        if password is not None:
            user.password = changed.password
            user.save(update_fields=["password", "updated_at"])
            record("user.change_password", user, actor=actor)


def lock_user(user: User) -> None:
    """Bring a user up to date, and let nobody else change her until this transaction ends.

    Raises ValidationError when she has been deleted meanwhile.
    """
    try:
        user.refresh_from_db(from_queryset=User.objects.get_queryset().select_for_update())
    except User.DoesNotExist as error:
        raise ValidationError("This user has been deleted meanwhile.", code="gone") from error


def wait_for_sign_ups() -> None:
    """Return when no other account or registry is being made, and let none be made until this transaction ends.

    So one user is the first, and everybody gets a namespace in every registry.
    """
    # In one statement: MariaDB sees a deadlock when two that failed to insert the row both lock it.
    upsert(SignUpLock(pk=1, taken_at=timezone.now()), key=["pk"], fields=["taken_at"])


def _check_new(user: User, password: str | None, address: str | None = None) -> None:
    """Set the password of a new account; raise ValidationError with everything that is wrong, by field, or TryLater.

    Done before the transaction: hashing takes its time, and nobody else could write meanwhile.
    """
    if user.bot:
        user.set_unusable_password()
        _check_account(user)
    else:
        _check_account(user, password or "")
        user.password = _hash(password or "", address)


def _hash(password: str, address: str | None) -> str:
    """Hash at once for somebody whom we know, else where strangers cannot keep everybody waiting."""
    if address is None:
        return make_password(password)
    hashed = hashing.room.hash(address, lambda: make_password(password))
    if hashed is None:
        raise TryLater(
            "Too many people are signing up or in at this moment. Try again in a few seconds.",
            hashing.RETRY_AFTER_SECONDS,
        )
    return hashed


def _insert(user: User, *, actor: User) -> None:
    _save_account(user, force_insert=True)
    for registry in Registry.objects.all():
        create_personal_namespace(user, registry)
    if user.admin:
        join_global_teams(user)
    record("user.create", user, actor=actor, admin=user.admin, bot=user.bot)


def _save_account(user: User, **options: Any) -> None:
    try:
        with transaction.atomic():
            user.save(**options)
    except IntegrityError:
        _check_account(user)  # somebody else was a moment faster: say which field it is
        raise


def _check_account(user: User, password: str | None = None) -> None:
    """Raise ValidationError with everything that is wrong, by field."""
    _refuse(_account_problems(user, password))


def _refuse(problems: dict[str, list[ValidationError]]) -> None:
    """Raise ValidationError if there are problems; each is said once."""
    if problems:
        raise ValidationError({field: list({error.code: error for error in errors}.values())
                               for field, errors in problems.items()})  # fmt: skip


def _account_problems(user: User, password: str | None) -> dict[str, list[ValidationError]]:
    problems: dict[str, list[ValidationError]] = {}
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        problems |= error.error_dict
    of_key = problems.pop("username_key", None)  # the column that is unique; people know the field by its other name
    if of_key:
        problems.setdefault("username", of_key)
    if user.display_name and "display_name" not in problems:
        try:
            _check_display_name(user, user.display_name)
        except ValidationError as error:
            problems |= error.error_dict
    if not user.email and "email" not in problems:
        problems["email"] = [ValidationError("This field cannot be blank.", code="blank")]
    if user._state.adding and not user.bot and "username" not in problems:  # noqa: SLF001 - Django says so nowhere else
        try:
            namespace_name_for(user.username)
        except ValidationError as error:
            problems |= error.error_dict
    if password is not None:
        try:
            _check_password(password, user)
        except ValidationError as error:
            problems |= error.error_dict
    return problems


def _check_display_name(user: User, name: str) -> None:
    """Raise ValidationError when somebody who reads this name would take `user` for another one."""
    key = name_key(name)
    if not name.isprintable():  # two names that look the same may differ in what nobody sees
        raise ValidationError({"display_name": ValidationError("A name has no control characters.", code="invalid")})
    if key in RESERVED_NAMES:
        reserved = ValidationError("This name belongs to Portus itself.", code="reserved")
        raise ValidationError({"display_name": reserved})
    if User.objects.filter(username_key=key).exclude(pk=user.pk).exists():
        raise ValidationError({"display_name": ValidationError("This is another user's user name.", code="taken")})


def _check_password(password: str, user: User) -> None:
    if user.bot:
        raise ValidationError({"password": ValidationError("A bot has no password.", code="bot")})
    if not password:
        raise ValidationError({"password": ValidationError("This field cannot be blank.", code="blank")})
    if not is_storable(password):
        raise ValidationError({"password": ValidationError("This password cannot be typed.", code="invalid")})
    if len(password) > LONGEST_PASSWORD:
        raise ValidationError(
            {"password": ValidationError(
                "This password is too long. It must have at most %(limit_value)d characters.",
                code="max_length", params={"limit_value": LONGEST_PASSWORD},
            )}
        )  # fmt: skip
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationError({"password": error.error_list}) from error


# Application tokens


@transaction.atomic
def create_token(user: User, application: str, *, actor: User) -> tuple[ApplicationToken, str]:
    """Make an application token; return its row and its value, which is not kept and cannot be shown again.

    Raises ValidationError for a name that is blank or taken, and for more tokens than a user may have.
    """
    lock_user(user)  # two at once could both be the fifth
    if user.application_tokens.count() >= TOKENS_PER_USER:
        raise ValidationError(f"Users cannot have more than {TOKENS_PER_USER} application tokens", code="too_many")
    value = "ptk_" + "".join(secrets.choice(TOKEN_ALPHABET) for _ in range(TOKEN_LENGTH))
    token = ApplicationToken(user=user, application=application.strip(), digest=token_digest(value))
    token.full_clean(validate_constraints=False)
    taken = ValidationError("Application has already been taken", code="unique")
    same = user.application_tokens.filter(application=token.application)
    insert_once(token, same, ValidationError({"application": taken}))
    record("application_token.create", token, _other(user, actor), actor=actor, application=token.application)
    return token, value


@transaction.atomic
def revoke_token(token: ApplicationToken, *, actor: User) -> None:
    """Delete an application token: from the next request on it opens nothing."""
    record("application_token.destroy", token, _other(token.user, actor), actor=actor, application=token.application)
    token.delete()


def _other(owner: User, actor: User) -> User | None:
    """Return whose token somebody else has made or revoked, for the trail to name."""
    return None if owner.pk == actor.pk else owner


def forget_old_failures() -> None:
    """Delete wrong passwords that no longer count."""
    SignInFailure.objects.filter(failed_at__lt=timezone.now() - LOCK_WINDOW).delete()
