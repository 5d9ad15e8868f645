from django.conf import settings
from django.http import HttpRequest
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import BaseModel, Field

from portus.accounts import operations
from portus.accounts.operations import NotEmpty
from portus.parameters import Text

router = Router(tags=["users"])


class NewUser(BaseModel):
    username: Text = Field(description="The name to sign in with.")
    email: Text = Field(description="An address that no other user has.")
    password: Text = Field(description="8 to 128 characters.")
    display_name: Text = Field("", description="The name that others see, where display names are in use.")


class Bootstrap(BaseModel):
    user: NewUser


class NewToken(Schema):
    id: int = Field(description="Number of the token, to revoke it by.")
    application: str = Field(description="What the token is for.")
    plain_token: str = Field(description="The token itself. It is not kept and never shown again.")


@router.post("/users/bootstrap", response={201: NewToken}, summary="Create the first user, an administrator")
def bootstrap(request: HttpRequest, data: Bootstrap) -> Status[NewToken]:
    if not settings.PORTUS.first_user_admin.enabled:
        raise HttpError(405, "this instance has disabled this endpoint")
    try:
        user, value = operations.bootstrap(**data.user.model_dump())
    except NotEmpty as error:
        raise HttpError(400, "you can only use this when there are no users on the system") from error
    token = user.application_tokens.get()
    return Status(201, NewToken(id=token.pk, application=token.application, plain_token=value))
