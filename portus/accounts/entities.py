"""Users as the API shows them; the members of a team are shown so too."""

from typing import Any

from django.db.models import Count, Max, OuterRef, QuerySet, Subquery
from django.utils import timezone
from ninja import Schema
from pydantic import Field

from portus.accounts.backends import FAILURES_UNTIL_LOCK
from portus.accounts.models import LOCK_WINDOW, SignInFailure, User
from portus.lists import as_time
from portus.teams.models import Namespace

# What of a user is nobody's but hers and the administrators'.
PERSONAL = ("email", "current_sign_in_at", "last_sign_in_at", "locked_at", "admin")


class UserEntity(Schema):
    id: int = Field(description="Number of the user.")
    username: str = Field(description="The name to sign in with.")
    email: str | None = Field(description="The e-mail address.")
    current_sign_in_at: str | None = Field(description="When the user last signed in.")
    last_sign_in_at: str | None = Field(description="When the user last signed in.")
    created_at: str = Field(description="When the account was made.")
    updated_at: str = Field(description="When it was last changed.")
    admin: bool | None = Field(description="Whether the user is an administrator.")
    enabled: bool = Field(description="Whether the user can sign in.")
    locked_at: str | None = Field(description="Since when passwords are refused for too many wrong ones.")
    namespace_id: int | None = Field(description="Number of the personal namespace in the first registry.")
    display_name: str | None = Field(description="The name that others see, where display names are in use.")
    bot: bool = Field(description="Whether it is a bot, which has application tokens only.")


def users_with_details(users: QuerySet[User]) -> QuerySet[User]:
    """Bring along what `user_entity` reads, in the same statement."""
    personal = Namespace.objects.filter(personal_owner=OuterRef("pk")).order_by("registry", "pk")
    failures = (
        SignInFailure.objects.filter(name_key=OuterRef("username_key"), failed_at__gt=timezone.now() - LOCK_WINDOW)
        .values("name_key")
        .annotate(count=Count("pk"), last=Max("failed_at"))
        .filter(count__gte=FAILURES_UNTIL_LOCK)
    )
    return users.annotate(
        namespace_id=Subquery(personal.values("pk")[:1]), locked_at=Subquery(failures.values("last")[:1])
    )


def member_user_entity(user: Any, asker: User) -> dict[str, Any]:
    """Return a user as the other members of a team see her: whoever owns a team can make anybody a member of it."""
    entity = user_entity(user)
    if asker.admin or asker.pk == user.pk:
        return entity
    return entity | dict.fromkeys(PERSONAL)


def user_entity(user: Any) -> dict[str, Any]:
    """Return a user as the API shows her; she comes from `users_with_details`."""
    signed_in = as_time(user.last_login)
    return {
        "id": user.pk,
        "username": user.username,
        "email": user.email,
        "current_sign_in_at": signed_in,
        "last_sign_in_at": signed_in,
        "created_at": as_time(user.created_at),
        "updated_at": as_time(user.updated_at),
        "admin": user.admin,
        "enabled": user.is_active,
        "locked_at": as_time(user.locked_at),
        "namespace_id": user.namespace_id,
        "display_name": user.display_name,
        "bot": user.bot,
    }
