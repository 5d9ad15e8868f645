"""Errors: a page in our design for people, JSON for programs, and neither needs the database."""

import json

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import OperationalError
from django.test import RequestFactory

from portus.web import errors


@pytest.mark.parametrize("status", sorted(errors.WORDS))
def test_each_has_a_page_that_asks_nothing_of_the_database(status):
    # No `db` fixture: a query would fail this test.
    response = errors.answer(RequestFactory().get("/somewhere"), status)

    assert response.status_code == status
    assert errors.WORDS[status].title in response.text
    assert f"Error {status}" in response.text
    assert "css/base" in response.text


@pytest.mark.parametrize("path", ["/v2/x", "/auth/token", "/v2"])
def test_container_clients_get_what_they_print(path):
    response = errors.answer(RequestFactory().get(path), 403)

    body = json.loads(response.content)
    assert body["errors"] == [{"code": "DENIED", "message": errors.WORDS[403].text, "detail": None}]
    assert body["error"] == errors.WORDS[403].text


def test_clients_of_the_api_get_its_shape():
    response = errors.answer(RequestFactory().get("/api/v1/x"), 500)

    assert json.loads(response.content) == {"message": errors.WORDS[500].text}


def test_a_page_that_is_not_there(client, db):
    response = client.get("/nothing/here")

    assert response.status_code == 404
    assert "Page not found" in response.text


def test_an_error_of_ours_gives_away_nothing(client, cast, monkeypatch):
    client.raise_request_exception = False
    client.force_login(cast.alice)
    monkeypatch.setattr("portus.repositories.listing.page_by_key", None)

    response = client.get("/repositories")

    assert response.status_code == 500
    assert "Something went wrong on our side" in response.text
    assert "NoneType" not in response.text


@pytest.mark.parametrize("path", ["/repositories", "/v2/token"])
def test_a_database_that_is_away_is_no_error_of_ours(client, cast, monkeypatch, path):
    def away(*_args, **_options):
        raise OperationalError("server closed the connection")

    client.raise_request_exception = False
    client.force_login(cast.alice)
    monkeypatch.setattr("portus.repositories.listing.page_by_key", away)
    monkeypatch.setattr("portus.registry.token.rights", away)

    response = client.get(path)

    assert response.status_code == 503
    assert response["Retry-After"] == "10"
    assert "server closed" not in response.text


def test_what_is_not_allowed_has_words():
    response = errors.permission_denied(RequestFactory().get("/x"), PermissionDenied("secret reason"))

    assert response.status_code == 403
    assert "secret reason" not in response.text


def test_what_is_too_large_is_called_so():
    assert errors.bad_request(RequestFactory().get("/x"), RequestDataTooBig()).status_code == 413


@pytest.mark.parametrize("host", ["evil host", "a/b", "x" * 300, "[::1"])
def test_a_host_header_that_is_none_leads_nowhere(client, cast, password, host):
    response = client.post("/users/sign_in", {"login": "alice", "password": password}, headers={"Host": host})

    assert (response.status_code, response["Location"]) == (302, "/")


# Every page


@pytest.mark.parametrize("path", ["/users/sign_in", "/explore", "/nothing", "/repositories", "/api/v1/_ping"])
def test_every_answer_is_guarded(client, cast, path):
    headers = client.get(path).headers

    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "path", ["/users/sign_in", "/users/sign_up", "/explore", "/nothing", "/users/edit", "/repositories"]
)
def test_no_page_has_script_or_style_of_its_own(client, cast, path):
    client.force_login(cast.alice)

    page = client.get(path, follow=True).text

    assert "<style" not in page
    assert " style=" not in page
    assert "<script>" not in page
    assert " on" + "click=" not in page
    assert "hx-on" not in page
