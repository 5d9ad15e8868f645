from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """What allauth asks about our rules."""

    def is_open_for_signup(self, _request: HttpRequest) -> bool:
        return settings.PORTUS.signup.enabled

    def is_safe_url(self, url: str) -> bool:
        """Only our own pages are redirected to; allauth would believe the Host header in this."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts={urlsplit(settings.PORTUS.public_url).netloc})
