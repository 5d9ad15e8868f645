from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from portus import policy
from portus.accounts.models import User, Visitor
from portus.registry.models import Registry
from portus.repositories import listing
from portus.repositories.forms import PositionForm
from portus.repositories.models import Repository
from portus.web.htmx import ask_to_sign_in, render_page_or, sign_in_required


@require_safe
@sign_in_required
def index(request: HttpRequest) -> HttpResponse:
    return render_list(request, "Repositories")


@require_safe
def explore(request: HttpRequest) -> HttpResponse:
    """Show the public repositories to visitors without an account; others have a list of their own."""
    if request.user.is_authenticated:
        query = request.GET.urlencode()
        return redirect(f"{reverse('repositories')}?{query}" if query else "repositories")
    if not policy.can_browse(request.user):
        raise Http404
    return render_list(request, "Public repositories")


@require_safe
def show(request: HttpRequest, repository_id: int) -> HttpResponse:
    repository = (
        Repository.objects.select_related("namespace__registry", "namespace__team").filter(pk=repository_id).first()
    )
    may_open = repository and policy.can_browse(request.user) and policy.can_show_repository(request.user, repository)
    if repository is None or not may_open:
        # Not 403: its name alone may be a secret, and whoever is signed out is told nothing at all.
        if request.user.is_authenticated:
            raise Http404
        return ask_to_sign_in(request)
    return render_repository(request, repository)


def render_list(request: HttpRequest, title: str) -> HttpResponse:
    parameters = request.GET.copy()
    parameters.setdefault("q", parameters.get("explore[search]", ""))  # as the search of Portus 2.4 was called
    position = PositionForm(parameters).position()
    page, total = listing.find_repositories(request.user, position)
    registries = list(Registry.objects.all()[:2])
    context = {
        "title": title,
        "position": position,
        "page": page,
        "total": total,
        "registries": registries,
        "several_registries": len(registries) > 1,
        **first_steps(request.user, registries, needed=not page.rows and not position.query),
    }
    return render_page_or(request, "repositories/_list.html", "repositories/index.html", context)


def first_steps(user: Visitor, registries: list[Registry], *, needed: bool) -> dict[str, Any]:
    """Return what somebody with an empty list is told to do: where to push, if there is a place where she may."""
    if not needed or not isinstance(user, User) or not registries:
        return {}
    namespace = user.personal_namespaces.select_related("registry").order_by("registry").first()
    if namespace is None or not policy.can_push(policy.standing(user, namespace)):
        return {"host": registries[0].shown_hostname}
    host = namespace.registry.shown_hostname
    return {"host": host, "target": f"{host}/{namespace.name}/hello-world:1.0"}


def render_repository(request: HttpRequest, repository: Repository) -> HttpResponse:
    position = PositionForm(request.GET).position()
    untagged = request.GET.get("show") == "untagged"
    find = listing.find_untagged if untagged else listing.find_images
    page, images = find(repository, position)
    context = {
        "repository": repository,
        "namespace": repository.namespace,
        "untagged": untagged,
        "position": position,
        "page": page,
        "images": images,
        "first_page": not position.after and not position.before,
    }
    return render(request, "repositories/show.html", context)
