"""What allauth asks about our rules."""

from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from portus.accounts.backends import check_password, client_address
from portus.accounts.forms import refusal
from portus.accounts.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, _request: HttpRequest) -> bool:
        return settings.PORTUS.signup.enabled

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User:
        """Return who this is; raise ValidationError with the reason why not."""
        name, password = credentials["username"], credentials["password"]
        outcome, user = check_password(name, password, address=client_address(request))
        if user is None:
            raise refusal(outcome)
        return user

    def is_safe_url(self, url: str) -> bool:
        """Only our own pages are redirected to; allauth would believe the Host header in this."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts={urlsplit(settings.PORTUS.public_url).netloc})

    def is_ajax(self, _request: HttpRequest) -> bool:
        """Answer pages to everybody: programs use the API."""
        return False

    def add_message(self, *_args: Any, **_options: Any) -> None:
        """Say nothing: our views have words of their own."""
