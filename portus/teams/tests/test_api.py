"""Teams and members over the API: refusals first, then each role, then what Portus 2.4's clients expect."""

import pytest

from portus.accounts.operations import create_token
from portus.teams.models import Team

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_user(client, cast):
    """Ask as somebody: as_user("alice").get("/teams")."""
    return lambda name: Asker(client, getattr(cast, name))


class Asker:
    def __init__(self, client, user):
        token = create_token(user, f"tests {user.application_tokens.count()}", actor=user)[1]
        self.client, self.headers = client, {"Portus-Auth": f"{user.username}:{token}"}

    def __getattr__(self, method):
        def ask(path, data=None):
            body = {} if data is None else {"data": data, "content_type": "application/json"}
            return getattr(self.client, method)(f"/api/v1{path}", headers=self.headers, **body)

        return ask


def names(response):
    assert response.status_code == 200, response.getvalue()
    return [entry.get("name") or entry["username"] for entry in response.json()] if not response.streaming else None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Portus-Auth": ""},
        {"Portus-Auth": "alice"},
        {"Portus-Auth": "alice:"},
        {"Portus-Auth": "alice:wrong"},
        {"Portus-Auth": "nobody:x"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
    ],
)
def test_without_a_credential_that_counts_it_is_401(client, cast, headers):
    response = client.get("/api/v1/teams", headers=headers)

    assert response.status_code == 401
    assert response.json() == {"message": "Authentication fails"}


def test_a_wrong_credential_never_falls_back_to_the_session(client, cast):
    client.force_login(cast.alice)

    assert client.get("/api/v1/teams").status_code == 200
    assert client.get("/api/v1/teams", headers={"Portus-Auth": "alice:wrong"}).status_code == 401
    assert client.get("/api/v1/teams", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_disabled_user_is_refused_whatever_her_token(as_user, cast):
    alice = as_user("alice")
    cast.alice.is_active = False
    cast.alice.save()

    assert alice.get("/teams").status_code == 401


def test_a_write_by_session_wants_the_csrf_token(cast, settings):
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(cast.alice)

    response = browser.post("/api/v1/teams", {"name": "crew"}, content_type="application/json")

    assert response.status_code == 403
    assert not Team.objects.filter(name="crew").exists()
