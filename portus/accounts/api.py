"""Users, their application tokens and one's own profile over the API."""

from collections.abc import Callable
from typing import Annotated, Any

from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import register_converter
from django.urls.converters import StringConverter
from ninja import Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import BaseModel, BeforeValidator, Field

from portus import lists, policy
from portus.accounts import administration, operations
from portus.accounts.authentication import ADMINS, SIGNED_IN, asker
from portus.accounts.backends import Outcome, client_address
from portus.accounts.entities import UserEntity, user_entity, users_with_details
from portus.accounts.forms import check_current_password
from portus.accounts.models import ApplicationToken, User
from portus.accounts.operations import NotEmpty, TryLater
from portus.lists import ListParameters, as_time
from portus.parameters import Text

router = Router(tags=["users"])


class NumberOrAddress(StringConverter):
    """A user in a path: by number, or by e-mail address, which may have slashes before its @."""

    regex = "[0-9]{1,18}|[^@]*@[^/]*"


register_converter(NumberOrAddress, "user")


def _flag(value: Any) -> Any:
    """Read a truth value as Portus 2.4 did, where nothing is no; pydantic knows the other spellings."""
    return False if value is None or value == "" else value


class NewUser(BaseModel):
    username: Text = Field(description="The name to sign in with.")
    email: Text = Field(description="An address that no other user has.")
    password: Text = Field(description="8 to 128 characters. That of a bot is not kept, and opens nothing.")
    display_name: Text = Field("", description="The name that others see, where display names are in use.")


class NewPersonOrBot(NewUser):
    bot: Annotated[bool, BeforeValidator(_flag)] = Field(False, description="Whether it is a bot.")


class UserToCreate(BaseModel):
    user: NewPersonOrBot = Field(description="The person or bot.")


class Bootstrap(BaseModel):
    user: NewUser = Field(description="The first administrator.")


class UserChanges(BaseModel):
    username: Text | None = Field(None, description="Another name to sign in with; the personal namespace keeps its.")
    email: Text | None = Field(None, description="Another e-mail address.")
    password: Text | None = Field(None, description="Another password, 8 to 128 characters.")
    display_name: Text | None = Field(None, description="Another name that others see; a blank one for none.")


class UserToUpdate(BaseModel):
    user: UserChanges = Field(description="What changes; the rest stays.")


class ProfileChanges(BaseModel):
    email: Text | None = Field(None, description="Another e-mail address.")
    display_name: Text | None = Field(None, description="Another name that others see; a blank one for none.")
    password: Text | None = Field(None, description="Another password, 8 to 128 characters.")
    current_password: Text = Field("", description="The password until now, without which there is no other one.")


class ProfileToUpdate(BaseModel):
    user: ProfileChanges = Field(description="What changes; the rest stays.")


class TokenToCreate(BaseModel):
    application: Text = Field(description="What the token is for; a name that no other token of this user has.")


class TokenEntity(Schema):
    id: int = Field(description="Number of the token, to revoke it by.")
    application: str = Field(description="What the token is for.")
    created_at: str = Field(description="When it was made.")
    last_used_at: str | None = Field(description="When it was last used, to the minute.")
    expires_at: str | None = Field(description="When it stops working.")


class NewToken(Schema):
    id: int = Field(description="Number of the token, to revoke it by.")
    application: str = Field(description="What the token is for.")
    plain_token: str = Field(description="The token itself. It is not kept and never shown again.")


def token_entity(token: ApplicationToken) -> dict[str, Any]:
    return {
        "id": token.pk,
        "application": token.application,
        "created_at": as_time(token.created_at),
        "last_used_at": as_time(token.last_used_at),
        "expires_at": as_time(token.expires_at),
    }


@router.post("/users/bootstrap", response={201: NewToken}, summary="Create the first user, an administrator")
def bootstrap(request: HttpRequest, data: Bootstrap) -> Status[NewToken]:
    if not settings.PORTUS.first_user_admin.enabled:
        raise HttpError(405, "this instance has disabled this endpoint")
    try:
        user, value = operations.bootstrap(**data.user.model_dump(), address=client_address(request))
    except NotEmpty as error:
        raise HttpError(400, "you can only use this when there are no users on the system") from error
    except TryLater as later:
        raise HttpError(429, str(later)) from later
    token = user.application_tokens.get()
    return Status(201, NewToken(id=token.pk, application=token.application, plain_token=value))


@router.get("/users", auth=ADMINS, response=list[UserEntity], summary="List all users")
def list_users(request: HttpRequest, parameters: Query[ListParameters]) -> HttpResponseBase:
    users = users_with_details(User.objects.all())
    return lists.answer(
        request, users, user_entity, parameters, sortable={"username", "email", "created_at", "updated_at"}
    )


@router.post("/users", auth=ADMINS, response={201: UserEntity}, summary="Create a person or a bot")
def create_user(request: HttpRequest, data: UserToCreate) -> Status[dict[str, Any]]:
    user = operations.create_user(**data.user.model_dump(), actor=asker(request))
    return Status(201, shown(user))


@router.get("/users/{user:id}", auth=ADMINS, response=UserEntity, summary="Show a user, by number or e-mail address")
def show_user(request: HttpRequest, id: str) -> dict[str, Any]:  # noqa: A002 - the parameter's name in 2.4
    found = {"pk": int(id)} if id.isdecimal() else {"email": id.strip().lower()}
    return user_entity(get_object_or_404(users_with_details(User.objects.all()), **found))


@router.put("/users/{user:id}", auth=ADMINS, response=UserEntity, summary="Change name, address or password of a user")
def update_user(request: HttpRequest, id: str, data: UserToUpdate) -> dict[str, Any]:  # noqa: A002
    user = by_number(id)
    operations.update_user(user, **given(data.user), actor=asker(request))
    keep_session(request, user)
    return shown(user)


@router.delete("/users/{user:id}", auth=ADMINS, response={204: None}, summary="Delete a user")
def delete_user(request: HttpRequest, id: str) -> HttpResponse:  # noqa: A002
    user = by_number(id)
    policy.require(policy.can_delete_user(asker(request), user))
    administration.delete_user(user, actor=asker(request))
    return HttpResponse(status=204)


@router.put("/users/{int:id}/enable", auth=ADMINS, response=UserEntity, summary="Let a disabled user in again")
def enable_user(request: HttpRequest, id: int) -> dict[str, Any]:  # noqa: A002
    user = get_object_or_404(User, pk=id)
    administration.enable_user(user, actor=asker(request))
    return shown(user)


@router.put("/users/{int:id}/disable", auth=SIGNED_IN, response=UserEntity, summary="Keep a user out, or oneself")
def disable_user(request: HttpRequest, id: int) -> dict[str, Any]:  # noqa: A002
    user = sought(request, id, policy.can_disable_user)
    administration.disable_user(user, actor=asker(request))
    return shown(user)


@router.put("/users/{int:id}/promote", auth=ADMINS, response=UserEntity, summary="Make a user an administrator")
def promote_user(request: HttpRequest, id: int) -> dict[str, Any]:  # noqa: A002
    user = get_object_or_404(User, pk=id)
    policy.require(policy.can_change_admin(asker(request), user))
    administration.promote_user(user, actor=asker(request))
    return shown(user)


@router.put("/users/{int:id}/demote", auth=ADMINS, response=UserEntity, summary="Make an administrator a plain user")
def demote_user(request: HttpRequest, id: int) -> dict[str, Any]:  # noqa: A002
    user = get_object_or_404(User, pk=id)
    policy.require(policy.can_change_admin(asker(request), user))
    administration.demote_user(user, actor=asker(request))
    return shown(user)


# Application tokens


@router.get(
    "/users/{id}/application_tokens",
    auth=SIGNED_IN,
    response=list[TokenEntity],
    summary="List the application tokens of a user",
)
def list_tokens(request: HttpRequest, id: int, parameters: Query[ListParameters]) -> HttpResponseBase:  # noqa: A002
    return answer_tokens(request, sought(request, id, policy.can_manage_tokens), parameters)


@router.post(
    "/users/{id}/application_tokens",
    auth=SIGNED_IN,
    response={201: NewToken},
    summary="Make an application token for a user",
)
def create_token(request: HttpRequest, id: int, data: TokenToCreate) -> Status[NewToken]:  # noqa: A002
    owner = sought(request, id, policy.can_manage_tokens)
    token, value = operations.create_token(owner, data.application, actor=asker(request))
    return Status(201, NewToken(id=token.pk, application=token.application, plain_token=value))


@router.delete(
    "/users/application_tokens/{int:id}", auth=SIGNED_IN, response={204: None}, summary="Revoke an application token"
)
def revoke_token(request: HttpRequest, id: int) -> HttpResponse:  # noqa: A002
    user, token = asker(request), ApplicationToken.objects.select_related("user").filter(pk=id).first()
    # A stranger's token and none are refused alike.
    policy.require(policy.can_manage_tokens(user, token.user) if token else policy.can_manage_users(user))
    if token is None:
        raise Http404
    operations.revoke_token(token, actor=user)
    return HttpResponse(status=204)


# One's own profile


@router.get("/profile", auth=SIGNED_IN, response=UserEntity, summary="Show yourself")
def show_profile(request: HttpRequest) -> dict[str, Any]:
    return shown(asker(request))


@router.put("/profile", auth=SIGNED_IN, response=UserEntity, summary="Change your own address, name or password")
def update_profile(request: HttpRequest, data: ProfileToUpdate) -> dict[str, Any]:
    user, changes = asker(request), given(data.user)
    policy.require(policy.can_edit_profile(user))
    current = changes.pop("current_password", "")
    if "password" in changes:
        confirm(user, current, client_address(request))
    operations.update_user(user, **changes, actor=user)
    keep_session(request, user)
    return shown(user)


@router.get(
    "/profile/application_tokens", auth=SIGNED_IN, response=list[TokenEntity], summary="List your application tokens"
)
def list_own_tokens(request: HttpRequest, parameters: Query[ListParameters]) -> HttpResponseBase:
    user = asker(request)
    policy.require(policy.can_manage_tokens(user, user))
    return answer_tokens(request, user, parameters)


def answer_tokens(request: HttpRequest, owner: User, parameters: ListParameters) -> HttpResponseBase:
    tokens = owner.application_tokens.all()
    return lists.answer(request, tokens, token_entity, parameters, sortable={"application", "created_at"})


def shown(user: User) -> dict[str, Any]:
    return user_entity(get_object_or_404(users_with_details(User.objects.all()), pk=user.pk))


def by_number(who: str) -> User:
    if not who.isdecimal():
        raise Http404  # by address a user is only shown
    return get_object_or_404(User, pk=int(who))


def sought(request: HttpRequest, pk: int, rule: Callable[[User, User], bool]) -> User:
    """Return the user of this number, if the asker may; only administrators learn that there is none."""
    user, found = asker(request), User.objects.filter(pk=pk).first()
    policy.require(rule(user, found) if found else policy.can_manage_users(user))
    if found is None:
        raise Http404
    return found


def given(changes: BaseModel) -> dict[str, str]:
    """Return what was sent; null stands for a blank text."""
    return {field: value or "" for field, value in changes.model_dump(exclude_unset=True).items()}


def confirm(user: User, current: str, address: str) -> None:
    """Raise ValidationError unless this is the password of `user`; 429 when there is no time to find out."""
    try:
        check_current_password(user, current, address=address)
    except ValidationError as error:
        if error.code == Outcome.BUSY.name:
            raise HttpError(429, " ".join(error.messages)) from error
        raise ValidationError({"current_password": error.error_list}) from error


def keep_session(request: HttpRequest, user: User) -> None:
    """Let the session go on in which somebody has changed her own password; her others end."""
    if request.by_session and user == request.user:  # type: ignore[attr-defined]
        update_session_auth_hash(request, user)
