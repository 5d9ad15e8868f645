"""The door of the API: what holds for every endpoint, whatever is sent. The examples use two of them."""

import json

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some

pytestmark = pytest.mark.django_db

PING = "/api/v1/_ping"
BOOTSTRAP = "/api/v1/users/bootstrap"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
NOT_FOUND = {"message": "Not found"}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def send(client, method, path, body=b"", content_type=JSON, **headers):
    return client.generic(method, path, body, content_type=content_type, headers=headers)


# Paths and methods


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "path",
    [
        "/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/_ping", "/api/v1/nothing", "/api/v1/_ping.xml", "/api/_ping",
        "/api/v1/_PING", "/api/v1/_ping/x", "/api/v1/users/bootstrap.txt", "/api/v1/ä", "/api/v1/%2e%2e/_ping",
        "/api/doc", "/api/openapi.yaml", "/api//nothing", "/api/v1/_ping.json.json", "/api/v1/\n",
    ],
)  # fmt: skip
def test_an_unknown_path(client, method, path):
    response = send(client, method, path)

    assert response.status_code == 404
    assert response["Content-Type"] == JSON
    if method != "HEAD":
        assert response.json() == NOT_FOUND


@pytest.mark.parametrize(
    ("path", "method"),
    [
        *((PING, method) for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO")),
        *((BOOTSTRAP, method) for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE")),
    ],
)
def test_a_method_that_a_path_does_not_know(client, path, method):
    response = send(client, method, path)

    assert response.status_code == 404
    if method != "HEAD":
        assert response.json() == NOT_FOUND


@pytest.mark.parametrize("path", [PING, f"{PING}.json", f"{PING}/", "/api//v1/_ping", f"{PING}?format=json&x=y"])
def test_a_path_may_be_written_in_several_ways(client, path):
    response = send(client, "GET", path)

    assert (response.status_code, response.json(), response["Content-Type"]) == (200, 200, JSON)


def test_head_answers_as_get_without_its_body(client):
    response = send(client, "HEAD", PING)

    assert (response.status_code, response.content, response["Content-Type"]) == (200, b"", JSON)


@pytest.mark.parametrize(("path", "allowed"), [(PING, {"GET", "HEAD", "OPTIONS"}), (BOOTSTRAP, {"POST", "OPTIONS"})])
def test_options_lists_the_methods(client, path, allowed):
    response = send(client, "OPTIONS", path)

    assert (response.status_code, response.content) == (204, b"")
    assert set(response["Allow"].split(", ")) == allowed


def test_nothing_is_kept_by_caches(client):
    assert send(client, "GET", PING)["Cache-Control"] == "no-store"


def test_no_session_and_no_csrf_token_is_wanted_or_given(client):
    strict = client.__class__(enforce_csrf_checks=True)

    response = send(strict, "POST", BOOTSTRAP, b"{}")

    assert response.status_code == 400
    assert not response.cookies


def test_who_has_no_session_is_asked_for_a_credential_and_not_for_a_csrf_token(client):
    strict = client.__class__(enforce_csrf_checks=True)

    assert send(strict, "POST", "/api/v1/teams", b"{}").status_code == 401


@pytest.mark.parametrize("number", [10**18, 2**63, 10**40])
@pytest.mark.parametrize(
    "path", ["teams/1/members/{}", "teams/{}/members/1", "namespaces/{}", "registries/{}", "users/{}"]
)
@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_a_number_that_no_row_has(as_user, method, path, number):
    response = getattr(as_user("ada"), method)(f"/{path.format(number)}", {})

    assert (response.status_code, response.json()) == (404, NOT_FOUND)


def test_ping_asks_no_database(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert send(client, "GET", PING).status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "*/*", "", "application/xml"])
def test_what_a_client_accepts_does_not_matter(client, accept):
    assert send(client, "GET", PING, Accept=accept).json() == 200
    assert send(client, "POST", BOOTSTRAP, b"{", Accept=accept).status_code == 400


# What cannot be read


@pytest.mark.parametrize("wanted", ["xml", "", "JSON", "<b>"])
def test_another_format(client, wanted):
    response = client.get(PING, {"format": wanted})

    assert response.status_code == 406
    assert response.json() == {"message": f"The requested format '{wanted}' is not supported."}


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/vnd.api+json", "", "nonsense", "application/json/x", "text/html; x"],
)
def test_another_type(client, content_type):
    response = send(client, "POST", BOOTSTRAP, b"{}", content_type)

    assert response.status_code == 415
    name = content_type.partition(";")[0]
    assert response.json() == {"message": f"The provided content-type '{name}' is not supported."}


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/json"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_body_of_a_get_is_not_read(client, method, content_type):
    assert send(client, method, PING, b"{", content_type).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "", JSON, FORM])
def test_no_body_has_any_type(client, content_type):
    assert '["user"]' in send(client, "POST", BOOTSTRAP, b"", content_type).json()["message"]


NO_JSON = {
    "cut": b"{",
    "two": b"{} {}",
    "text": b"hello",
    "single quotes": b"{'a': 1}",
    "no utf-8": b'{"a": "\xff\xfe"}',
    "blank": b" ",
    "nul": b"\0",
    "nul in the text": b'{"a": "\0"}',
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "closed deep list": b"[" * 100_000 + b"]" * 100_000,
    "number of many digits": b'{"a": ' + b"1" * 5000 + b"}",
    "not a number": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "form": b"user[username]=ada",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_malformed_json(client, body):
    response = send(client, "POST", BOOTSTRAP, body)

    assert response.status_code == 400
    assert response.json()["message"].startswith("There was a problem in the JSON you submitted")


ODD_FORMS = {
    "nothing": b"&&&===",
    "brackets": b"user[=1&user]=1&[user]=1&user[]=1&user[][username]=1&[]=1&[=1&]=1",
    "a value and a group": b"user=1&user[username]=x",
    "a group and a value": b"user[username]=x&user=1",
    "a value under a value": b"user[username]=x&user[username][y]=1",
    "no utf-8": b"user[username]=%ff%fe&user[email]=\xff",
    "nul": b"user[username]=%00",
    "half a character": b"user[username]=%ed%a0%80",
    "deep": b"user" + b"[a]" * 10_000 + b"=1",
    "long": b"user[username]=" + b"x" * 500_000,
    "broken percents": b"user[username]=%&%zz=%",
}


@pytest.mark.parametrize("body", ODD_FORMS.values(), ids=ODD_FORMS)
def test_odd_forms(client, body):
    response = send(client, "POST", BOOTSTRAP, body, FORM)

    assert response.status_code in {400, 422}
    assert "message" in response.json()


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x"]
)
@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b"--x",
        b"--x\r\n\r\n",
        b"--x--",
        b'--x\r\nContent-Disposition: form-data; name="user"; filename="a"\r\n\r\nx\r\n--x--\r\n',
    ],
)
def test_odd_multipart(client, content_type, body):
    response = send(client, "POST", BOOTSTRAP, body, content_type)

    assert response.status_code == 400
    assert "message" in response.json()


def test_more_fields_than_anybody_sends(client):
    body = "&".join(f"a{number}=1" for number in range(2000)).encode()

    for response in (send(client, "POST", BOOTSTRAP, body, FORM), send(client, "GET", f"{PING}?{body.decode()}")):
        assert response.status_code in {400, 413}
        assert "message" in response.json()


def test_a_body_that_is_too_large(client):
    response = send(client, "POST", BOOTSTRAP, b'{"a": "' + b"x" * 2**20 + b'"}')

    assert response.status_code == 413
    assert "message" in response.json()


@pytest.mark.parametrize("charset", ["latin-1", "utf-16"])
def test_another_charset(client, charset):
    response = send(client, "POST", BOOTSTRAP, b"{}", f"application/json; charset={charset}")

    assert response.status_code == 415
    assert "message" in response.json()


@pytest.mark.parametrize("query", ["%00", "user[username]=%00", "a=%ff", "user=%ed%a0%80", "[[[=", "format[]=xml"])
def test_odd_queries(client, query):
    response = send(client, "POST", f"{BOOTSTRAP}?{query}")

    assert response.status_code == 400
    assert "message" in response.json()


# Whatever else


anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(some.characters()),
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.text(some.characters(), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
users = some.fixed_dictionaries(
    {"username": anything, "email": anything, "password": anything, "display_name": anything}
)


@hypothesis_settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(content=some.fixed_dictionaries({"user": users | anything}) | anything)
def test_nothing_that_is_sent_is_an_error_of_ours(client, content):
    with transaction.atomic():
        response = send(client, "POST", BOOTSTRAP, json.dumps(content).encode())
        transaction.set_rollback(True)

    assert response.status_code in {201, 400, 422}
    assert response.status_code == 201 or "message" in response.json()


@hypothesis_settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(
    name=some.text(some.characters()),
    email=some.text(some.characters()),
    password=some.text(some.characters(), min_size=8),
)
def test_no_text_is_an_error_of_ours(client, name, email, password):
    user = {"username": f"a{name}", "email": f"a@{email}", "password": password, "display_name": name}
    with transaction.atomic():
        response = send(client, "POST", BOOTSTRAP, json.dumps({"user": user}).encode())
        transaction.set_rollback(True)

    assert response.status_code in {201, 400, 422}
