"""What happens to accounts and application tokens."""

import secrets
import string

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from portus.accounts.models import (
    LOCK_WINDOW,
    LONGEST_PASSWORD,
    TOKENS_PER_USER,
    ApplicationToken,
    SignInFailure,
    SignUpLock,
    User,
    token_digest,
)
from portus.activities.operations import record
from portus.registry.models import Registry
from portus.teams.operations import create_personal_namespace, join_global_teams, namespace_name_for

TOKEN_ALPHABET = string.ascii_letters + string.digits
TOKEN_LENGTH = 40
BOOTSTRAP_TOKEN = "bootstrap"


class NotEmpty(Exception):
    """There are users already, so the first one cannot be made."""


# Users


@transaction.atomic
def sign_up(*, username: str, email: str, password: str, display_name: str = "") -> User:
    """Create an account for somebody who asks for one; the first becomes administrator where `first_user_admin` is on.

    Raises ValidationError with the reasons of each field.
    """
    first = _first_in_turn()
    admin = first and settings.PORTUS.first_user_admin.enabled
    return create_user(username=username, email=email, password=password, display_name=display_name, admin=admin)


@transaction.atomic
def bootstrap(*, username: str, email: str, password: str, display_name: str = "") -> tuple[User, str]:
    """Create the first user, an administrator; return her with the value of an application token.

    Raises NotEmpty when there are users, ValidationError with the reasons of each field.
    """
    if not _first_in_turn():
        raise NotEmpty
    user = create_user(username=username, email=email, password=password, display_name=display_name, admin=True)
    return user, create_token(user, BOOTSTRAP_TOKEN, actor=user)[1]


@transaction.atomic
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
    if bot:
        user.set_unusable_password()
    else:
        user.set_password(password)
    _check_account(user, None if bot else password or "")
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        _check_account(user, password)  # somebody else was a moment faster: say which field it is
        raise
    for registry in Registry.objects.all():
        create_personal_namespace(user, registry)
    if admin:
        join_global_teams(user)
    record("user.create", user, actor=actor or user, admin=admin, bot=bot)
    return user


@transaction.atomic
def change_password(user: User, password: str, *, actor: User) -> None:
    """Set a person's password; raise ValidationError when it breaks the rules. Her sessions end but the renewed one."""
    if user.bot:
        raise ValidationError({"password": "A bot has no password."}, code="bot")
    _check_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password", "updated_at"])
    record("user.change_password", user, actor=actor)


@transaction.atomic
def change_details(user: User, *, email: str, display_name: str, actor: User) -> None:
    """Set e-mail address and display name; raise ValidationError with the reasons of each field."""
    before = (user.email, user.display_name)
    user.email, user.display_name = email, display_name
    _check_account(user, None)
    if (user.email, user.display_name) != before:
        user.save(update_fields=["email", "display_name", "updated_at"])
        record("user.change_details", user, actor=actor)


def _first_in_turn() -> bool:
    """Return whether there is no user yet. Until the transaction ends, nobody else is told the same."""
    SignUpLock.objects.get_or_create(pk=1)
    SignUpLock.objects.select_for_update().get(pk=1)
    return not User.objects.exists()


def _check_account(user: User, password: str | None) -> None:
    """Raise ValidationError with everything that is wrong, by field."""
    problems: dict[str, list[ValidationError]] = {}
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        problems |= error.error_dict
    if "username_key" in problems:  # the column that is unique; people know the field by its other name
        problems.setdefault("username", []).extend(problems.pop("username_key"))
    if not user.email and "email" not in problems:
        problems["email"] = [ValidationError("This field cannot be blank.", code="blank")]
    if not user.bot and "username" not in problems:
        try:
            namespace_name_for(user.username)
        except ValidationError as error:
            problems |= error.error_dict
    if password is not None:
        try:
            _check_password(password, user)
        except ValidationError as error:
            problems |= error.error_dict
    if problems:
        raise ValidationError(problems)


def _check_password(password: str, user: User) -> None:
    if not password:
        raise ValidationError({"password": ValidationError("This field cannot be blank.", code="blank")})
    if len(password) > LONGEST_PASSWORD:
        raise ValidationError(
            {"password": ValidationError(
                f"This password is too long. It must have at most {LONGEST_PASSWORD} characters.", code="max_length"
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
    User.objects.filter(pk=user.pk).select_for_update().get()  # two at once could both be the fifth
    if user.application_tokens.count() >= TOKENS_PER_USER:
        raise ValidationError(f"Users cannot have more than {TOKENS_PER_USER} application tokens.", code="too_many")
    value = "ptk_" + "".join(secrets.choice(TOKEN_ALPHABET) for _ in range(TOKEN_LENGTH))
    token = ApplicationToken(user=user, application=application.strip(), digest=token_digest(value))
    token.full_clean()
    token.save()
    record("application_token.create", token, actor=actor, application=token.application)
    return token, value


@transaction.atomic
def revoke_token(token: ApplicationToken, *, actor: User) -> None:
    """Delete an application token: from the next request on it opens nothing."""
    record("application_token.destroy", token, actor=actor, application=token.application)
    token.delete()


def forget_old_failures() -> None:
    """Delete wrong passwords that no longer count."""
    SignInFailure.objects.filter(failed_at__lt=timezone.now() - LOCK_WINDOW).delete()
