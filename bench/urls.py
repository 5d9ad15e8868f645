"""The product's addresses, and the view that everything is measured against."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from portus.urls import handler400, handler403, handler404, handler500, urlpatterns

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def nothing(_request: HttpRequest) -> HttpResponse:
    """Answer an empty 200. It passes the same server and middleware as every other view, and asks no database."""
    return HttpResponse()


# In front, where the addresses of the token service are in the product's own table.
urlpatterns = [path("bench/nothing", nothing), *urlpatterns]
