"""The root URL table. Paths are those of Portus 2.4: registries and people have them in their configuration."""

from django.urls import include, path

from portus import api
from portus.registry import intake, token

handler400 = "portus.web.errors.bad_request"
handler403 = "portus.web.errors.permission_denied"
handler404 = "portus.web.errors.page_not_found"
handler500 = "portus.web.errors.server_error"

urlpatterns = [
    path("v2/token", token.token, name="token"),
    path("v2/token.json", token.token),
    path("auth/token", token.token),
    path("v2/", token.ping, name="ping"),
    path("v2", token.ping),
    path("v2/jwks.json", token.jwks, name="jwks"),
    path("v2/webhooks/events", intake.receive, name="events"),
    path("v2/webhooks/events.json", intake.receive),
    path("api", api.lost),
    path("api/", include((api.urlpatterns, "api"))),
    path("users/", include("portus.accounts.urls")),
    path("", include("portus.repositories.urls")),
    path("", include("portus.web.urls")),
]
