"""What the addresses have in common to which forms are sent."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect

View = Callable[..., HttpResponse]


def only_a_form_of(page: str) -> Callable[[View], View]:
    """Let only POST in, and send whoever comes by GET to the page of that name, where the form is.

    People come so: by reloading, or from signing in again when the session has ended meanwhile.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "POST":
                return view(request, *args, **kwargs)
            return redirect(page) if request.method in {"GET", "HEAD"} else HttpResponseNotAllowed(["POST"])

        return wrapper

    return decorate
