from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portus import policy


@require_safe
@login_required
def index(request: HttpRequest) -> HttpResponse:
    repositories = policy.visible_repositories(request.user).select_related("namespace__registry")
    return render(request, "repositories/index.html", {"repositories": repositories.order_by("name", "pk")[:50]})
