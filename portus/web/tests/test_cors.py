"""Pages of other sites: nobody unless configured, then exactly those, without cookies."""

import pytest

from portus.config import ConfigurationError, load

pytestmark = pytest.mark.django_db

PING = "/api/v1/_ping"
OURS = "https://dashboard.test"
PREFLIGHT = {"Origin": OURS, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "portus-auth"}


def said(response):
    return {name: value for name, value in response.items() if name.startswith("Access-Control-")}


@pytest.mark.parametrize("method", ["get", "options"])
def test_without_configuration_nobody_is_told_anything(client, method):
    response = getattr(client, method)(PING, headers=PREFLIGHT)

    assert said(response) == {}
    assert "Origin" not in response.get("Vary", "")


@pytest.fixture
def configured(configure):
    configure(**{"cors.origins": f"{OURS}, http://localhost:8080"})


@pytest.mark.parametrize(
    "origin",
    [
        "https://elsewhere.test", "http://dashboard.test", "https://dashboard.test:444", "https://dashboard.test.evil",
        "https://sub.dashboard.test", "https://dashboard.test/", "null", "", "*", "https://dashboard.tes",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["get", "options"])
def test_other_origins_are_told_nothing(client, configured, origin, method):
    response = getattr(client, method)(PING, headers={**PREFLIGHT, "Origin": origin})

    assert said(response) == {}
    assert response["Vary"] == "Origin"


def test_one_without_an_origin_is_no_browser(client, configured):
    response = client.get(PING)

    assert said(response) == {}
    assert response["Vary"] == "Origin"


@pytest.mark.parametrize("origin", [OURS, "http://localhost:8080"])
def test_those_that_are_configured_are_answered(client, configured, origin):
    response = client.get(PING, headers={"Origin": origin})

    assert response.json() == 200
    assert response["Access-Control-Allow-Origin"] == origin
    assert "Link" in response["Access-Control-Expose-Headers"]
    assert response["Vary"] == "Origin"


def test_cookies_are_never_theirs_to_send(client, configured):
    for response in (client.get(PING, headers={"Origin": OURS}), client.options(PING, headers=PREFLIGHT)):
        assert "Access-Control-Allow-Credentials" not in response


def test_a_preflight_is_answered_before_anybody_asks_who_it_is(client, configured, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.options("/api/v1/users", headers=PREFLIGHT)

    assert (response.status_code, response.content) == (204, b"")
    assert response["Access-Control-Allow-Origin"] == OURS
    assert "PUT" in response["Access-Control-Allow-Methods"]
    assert {"portus-auth", "authorization", "content-type"} <= set(
        response["Access-Control-Allow-Headers"].lower().split(", ")
    )
    assert int(response["Access-Control-Max-Age"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("get", "/api/v1/users", 401), ("get", "/api/nothing", 404), ("post", "/api/v1/users/bootstrap", 400)],
)
def test_refusals_can_be_read_too(client, configured, method, path, status):
    response = getattr(client, method)(path, headers={"Origin": OURS})

    assert response.status_code == status
    assert response["Access-Control-Allow-Origin"] == OURS


def test_a_request_that_is_too_large_is_told_so(client, configured):
    response = client.post(PING, b"x" * 2**21, content_type="application/json", headers={"Origin": OURS})

    assert response.status_code == 413
    assert response["Access-Control-Allow-Origin"] == OURS


@pytest.mark.parametrize("path", ["/", "/v2/token", "/users/sign_in", "/apis", "/explore"])
def test_nothing_else_is_open_to_them(client, configured, path):
    response = client.get(path, headers=PREFLIGHT)

    assert said(response) == {}


# The option


def origins(value):
    return load({"PORTUS_CORS_ORIGINS": value, "PORTUS_DATA": "data"}).options.cors.origins


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("", ()),
        ("https://a.test", ("https://a.test",)),
        ("https://a.test,http://b.test:81", ("https://a.test", "http://b.test:81")),
        ("HTTPS://A.test/", ("https://a.test",)),
        ("https://a.test:443, http://b.test:80", ("https://a.test", "http://b.test")),
        ("http://[::1]:3000", ("http://[::1]:3000",)),
    ],
)
def test_origins_are_read_as_browsers_write_them(value, read):
    assert origins(value) == read


@pytest.mark.parametrize(
    "value", ["*", "a.test", "https://*.a.test", "null", "https://a.test/path", "ftp://a.test", "https://u@a.test"]
)
def test_what_is_no_origin_stops_the_start(value):
    with pytest.raises(ConfigurationError) as refused:
        origins(value)

    (problem,) = refused.value.problems
    assert problem.startswith("cors.origins (from PORTUS_CORS_ORIGINS) is not a list of origins")
