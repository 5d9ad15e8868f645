"""Fragment or page, and what to do when a session has ended: the only place that knows how htmx asks."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRefresh

View = Callable[..., HttpResponse]


def wants_fragment(request: HttpRequest) -> bool:
    asked = request.htmx  # type: ignore[attr-defined]
    return bool(asked) and not asked.boosted and not asked.history_restore_request


def render_page_or(
    request: HttpRequest, fragment: str, page: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render the fragment for htmx, else the page that includes it; caches keep the two apart."""
    response = render(request, fragment if wants_fragment(request) else page, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    if wants_fragment(request):
        # A browser's "back" would else show the fragment alone as the page of this address.
        response["Cache-Control"] = "no-store"
    return response


def sign_in_required(view: View) -> View:
    """Send anonymous visitors to the sign-in page, and from there back to where they wanted to go."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        return ask_to_sign_in(request)

    return wrapper


def ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    if wants_fragment(request):
        return HttpResponseClientRefresh()  # the whole page asks then, not a corner of it
    return redirect_to_login(request.get_full_path())
