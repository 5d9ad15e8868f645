from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return redirect("repositories" if request.user.is_authenticated else "account_login")


@require_safe
def robots(_request: HttpRequest) -> HttpResponse:
    """Keep search engines to what is published."""
    rules = f"User-agent: *\nAllow: {reverse('explore')}\nDisallow: /\n"
    return HttpResponse(rules, content_type="text/plain; charset=utf-8")
