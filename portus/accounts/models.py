import hashlib
import re
import unicodedata
from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from portus.activities.snapshot import Audience, Snapshot
from portus.fields import ExactCharField

TOKENS_PER_USER = 5
LOCK_WINDOW = timedelta(minutes=10)
LONGEST_PASSWORD = 128  # characters, as in Portus 2.4
RESERVED_NAMES = frozenset({"portus"})  # shown as the actor of system work, and `sub` of our own registry tokens


def name_key(username: str) -> str:
    """Return the form under which a user name is unique and looked up: `Zoë` and `ZOË` are one person."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold())


def check_username(username: str) -> None:
    """Raise ValidationError for what HTTP Basic authentication or a page could not carry."""
    if ":" in username or not username.isprintable():
        raise ValidationError("A user name has no colon and no control characters.", code="invalid")
    if username != username.strip():
        raise ValidationError("A user name does not begin or end with a blank.", code="invalid")
    if name_key(username) in RESERVED_NAMES:
        raise ValidationError("This name belongs to Portus itself.", code="reserved")


# As in Portus 2.4: one @, something on both sides, no blanks. Django's own rule refuses hosts without a dot,
# which people inside a company network have.
check_email = RegexValidator(re.compile(r"\A[^@\s]+@[^@\s]+\Z"), "Enter a valid e-mail address.", code="invalid")


class UserQuerySet(models.QuerySet["User"]):
    def people(self) -> "UserQuerySet":
        return self.filter(bot=False)

    def enabled(self) -> "UserQuerySet":
        return self.filter(is_active=True)

    def admins(self) -> "UserQuerySet":
        """Administrators who can act: a disabled one does not count."""
        return self.enabled().filter(admin=True)

    def named(self, username: str) -> "UserQuerySet":
        return self.filter(username_key=name_key(username))


class UserManager(BaseUserManager["User"]):
    def get_queryset(self) -> UserQuerySet:
        return UserQuerySet(self.model, using=self._db)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(username_key=name_key(username or ""))

    def people(self) -> UserQuerySet:
        return self.get_queryset().people()

    def admins(self) -> UserQuerySet:
        return self.get_queryset().admins()

    def named(self, username: str) -> UserQuerySet:
        return self.get_queryset().named(username)


class User(AbstractBaseUser):
    """A person or a bot. A bot has no password that opens anything, and no namespace of its own."""

    username = ExactCharField("user name", max_length=255, validators=[check_username])
    username_key = ExactCharField(
        max_length=255, unique=True, editable=False, error_messages={"unique": "This user name is taken."}
    )
    email = ExactCharField("e-mail", max_length=254, unique=True, null=True, blank=True, validators=[check_email])
    display_name = ExactCharField(max_length=255, unique=True, null=True, blank=True)
    admin = models.BooleanField(default=False)
    bot = models.BooleanField(default=False)
    is_active = models.BooleanField("enabled", default=True, db_column="enabled")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email"]

    def __str__(self) -> str:
        return self.username

    def clean_fields(self, exclude: "set[str] | None" = None) -> None:  # type: ignore[override]
        self.email = (self.email or "").strip().lower() or None
        self.display_name = (self.display_name or "").strip() or None
        self.username_key = name_key(self.username)
        super().clean_fields(exclude)

    @property
    def shown_name(self) -> str:
        """The display name where those are in use and this user has one, else the user name."""
        return (settings.PORTUS.display_name.enabled and self.display_name) or self.username

    def audit_snapshot(self) -> Snapshot:
        return Snapshot(kind="user", pk=self.pk, name=self.username, audience=Audience.ADMINS)


Visitor = User | AnonymousUser


class SignUpLock(models.Model):
    """One row that is locked while an account or a registry is made."""

    taken_at = models.DateTimeField(default=timezone.now)


def token_digest(value: str) -> str:
    """Return the form under which an application token is stored."""
    return hashlib.sha256(value.encode()).hexdigest()


class ApplicationTokenQuerySet(models.QuerySet["ApplicationToken"]):
    def usable(self) -> "ApplicationTokenQuerySet":
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


class ApplicationToken(models.Model):
    """A password for programs, known only as its SHA-256: the value has 238 random bits; a slow hash adds nothing."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="application_tokens")
    application = ExactCharField("application", max_length=255)
    digest = ExactCharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    objects = ApplicationTokenQuerySet.as_manager()

    class Meta:
        ordering = ["application"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "application"],
                name="token_name_once_per_user",
                violation_error_message="Application has already been taken",
            )
        ]

    def audit_snapshot(self) -> Snapshot:
        return Snapshot(
            kind="application_token",
            pk=self.pk,
            name=self.application,
            audience=Audience.ACTOR,
            owner_id=self.user_id,
        )


class SignInFailure(models.Model):
    """One wrong password that was tried for a name, whether or not somebody has that name.

    The same password tried again is the same row: a machine with an old password in its configuration locks nobody.
    """

    name_key = ExactCharField(max_length=255)
    fingerprint = ExactCharField(max_length=64)  # keyed hash, so the table does not give near misses away
    failed_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name_key", "fingerprint"], name="failure_once_per_password"),
        ]
