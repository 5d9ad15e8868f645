from django.conf import settings
from django.http import HttpRequest
from ninja import Router, Schema
from ninja.errors import HttpError
from pydantic import Field

from portus.accounts import operations
from portus.accounts.operations import NotEmpty

router = Router(tags=["users"])


class NewUser(Schema):
    username: str = Field(description="The name to sign in with.")
    email: str = Field(description="An address that no other user has.")
    password: str = Field(description="8 to 128 characters.")
    display_name: str = Field("", description="The name that others see, where display names are in use.")


class Bootstrap(Schema):
    user: NewUser


class NewToken(Schema):
    id: int = Field(description="Number of the token, to revoke it by.")
    application: str = Field(description="What the token is for.")
    plain_token: str = Field(description="The token itself. It is not kept and never shown again.")


@router.post("/users/bootstrap", response={201: NewToken}, summary="Create the first user, an administrator")
def bootstrap(request: HttpRequest, data: Bootstrap) -> tuple[int, NewToken]:
    if not settings.PORTUS.first_user_admin.enabled:
        raise HttpError(405, "this instance has disabled this endpoint")
    try:
        user, value = operations.bootstrap(**data.user.model_dump())
    except NotEmpty as error:
        raise HttpError(400, "you can only use this when there are no users on the system") from error
    token = user.application_tokens.get()
    return 201, NewToken(id=token.pk, application=token.application, plain_token=value)
