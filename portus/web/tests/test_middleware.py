"""What holds for every request: whom we believe about the client, what is refused before a view sees it."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse
from django.test import Client, RequestFactory

from portus.web import middleware

PROXY, STRANGER = "10.0.0.7", "198.51.100.9"


@pytest.fixture
def seen(configure):
    """Send a request through `trusted_proxies`; return what comes out at the other side."""
    configure(**{"proxies.trusted": "10.0.0.0/8,fd00::/8"})

    def send(peer, **headers):
        requests = []
        handler = middleware.trusted_proxies(lambda request: requests.append(request) or HttpResponse())
        handler(RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers))
        meta = requests[0].META
        left = [name for name in meta if "FORWARDED" in name or name == "HTTP_X_REAL_IP"]
        return SimpleNamespace(address=meta["REMOTE_ADDR"], scheme=requests[0].scheme, left=left)

    return send


def test_it_believes_nothing_that_a_stranger_says_of_itself(seen):
    result = seen(STRANGER, **{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"})

    assert (result.address, result.scheme) == (STRANGER, "http")


def test_it_leaves_no_forwarding_header_behind(seen):
    headers = {
        "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Port": "1", "X-Forwarded-Prefix": "/x", "X-Real-Ip": "192.0.2.2", "Forwarded": "for=192.0.2.3",
    }  # fmt: skip

    assert seen(STRANGER, **headers).left == []
    assert seen(PROXY, **headers).left == []


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.1.1.1", "192.0.2.1"),  # two proxies of ours
        ("127.0.0.1, 192.0.2.1", "192.0.2.1"),  # the client made up the first entry
        ("192.0.2.1,203.0.113.5, 10.1.1.1", "203.0.113.5"),
        ("2001:db8::1", "2001:db8::1"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),  # somebody inside
        ("nonsense", PROXY),
        ("192.0.2.1, nonsense", PROXY),
        ("", PROXY),
    ],
)
def test_it_takes_the_last_address_that_no_trusted_proxy_has(seen, chain, address):
    assert seen(PROXY, **{"X-Forwarded-For": chain}).address == address


@pytest.mark.parametrize(
    ("said", "scheme"),
    [("https", "https"), ("http", "http"), ("HTTPS", "https"), ("http, https", "https"), ("gopher", "http")],
)
def test_it_believes_a_trusted_proxy_about_the_scheme(seen, said, scheme):
    assert seen(PROXY, **{"X-Forwarded-Proto": said}).scheme == scheme


@pytest.mark.parametrize(
    ("address", "trusted"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("fd00::1", True), ("11.0.0.1", False), ("::1", False),
     ("", False), ("a socket", False)],
)  # fmt: skip
def test_it_knows_its_proxies(configure, address, trusted):
    configure(**{"proxies.trusted": "10.0.0.0/8,fd00::/8"})

    assert middleware.is_trusted(address) is trusted


# Requests that nobody of ours sends


def test_it_refuses_a_body_of_10_megabytes_before_reading_it(client, db):
    response = client.post("/users/sign_in", {"login": "x" * 10_000_000, "password": "x"})

    assert response.status_code == 413
    assert "larger than anything" in response.text


def test_it_refuses_a_large_file_where_none_belongs(client, db):
    response = client.generic(
        "POST", "/users/sign_in", b"x" * 2_000_000, content_type="multipart/form-data; boundary=b"
    )

    assert response.status_code == 413


def test_it_answers_programs_in_json(client, db):
    api = client.post("/api/v1/users/bootstrap", b"x" * 2_000_000, content_type="application/json")
    registry = client.get("/v2/nothing")

    assert (api.status_code, api.json()["message"]) == (
        413,
        "This request is larger than anything that we accept here.",
    )
    assert (registry.status_code, registry.json()["errors"][0]["code"]) == (404, "NOT_FOUND")


def test_it_leaves_the_size_of_notifications_to_their_view(client, registry):
    response = client.post("/v2/webhooks/events", b"x" * 2_000_000, content_type="application/json")

    assert response.status_code == 202


@pytest.mark.parametrize("path", ["/users/sign_in?next=%00", "/repositories%00", "/v2/token?service=%00"])
def test_it_refuses_a_nul_in_an_address(client, db, path):
    assert client.get(path).status_code == 400


def test_it_refuses_a_nul_in_a_cookie(client, db):
    response = client.get("/users/sign_in", headers={"Cookie": r'_portus_session="aaaaaaaa\000"'})

    assert response.status_code == 400


def test_it_reads_utf_8_only(client, db):
    response = client.get("/users/sign_in", headers={"Content-Type": "text/plain; charset=utf-16"})

    assert response.status_code == 415


REFUSALS = {
    "a NUL": (400, {"path": "/repositories", "QUERY_STRING": "q=%00"}),
    "too much": (413, {"path": "/users/sign_in", "method": "POST", "CONTENT_LENGTH": "10000000"}),
    "another encoding": (415, {"path": "/users/sign_in", "CONTENT_TYPE": "text/plain; charset=utf-16"}),
    "another method": (405, {"path": "/explore", "method": "TRACE"}),
    "no such page": (404, {"path": "/nothing"}),
    "no token": (403, {"path": "/users/sign_in", "method": "POST"}),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_a_refusal_is_as_closed_as_a_page(db, why):
    status, asked = REFUSALS[why]

    response = Client(enforce_csrf_checks=True).generic(**{"method": "GET", **asked})

    assert response.status_code == status
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/v2/token", "/v2/webhooks/events"])
def test_what_is_refused_to_everybody_is_refused_to_programs(client, db, path):
    nul = client.get(path, QUERY_STRING="service=%00")
    encoding = client.get(path, headers={"Content-Type": "text/plain; charset=utf-16"})

    assert [nul.status_code, encoding.status_code] == [400, 415]
    assert nul.json()["errors"][0]["code"] == "BAD_REQUEST"
    assert nul["X-Content-Type-Options"] == encoding["X-Content-Type-Options"] == "nosniff"


def test_programs_are_not_believed_about_their_address_either(rf, settings, configure):
    configure(**{"proxies.trusted": "10.0.0.0/8"})
    handler = BaseHandler()
    handler.load_middleware()
    stranger = rf.get("/v2/webhooks/events", REMOTE_ADDR=STRANGER, headers={"X-Forwarded-For": "127.0.0.1"})
    behind = rf.get("/v2/webhooks/events", REMOTE_ADDR=PROXY, headers={"X-Forwarded-For": STRANGER})

    for request in (stranger, behind):
        assert handler.get_response(request).status_code == 405

    assert [request.META["REMOTE_ADDR"] for request in (stranger, behind)] == [STRANGER, STRANGER]


@pytest.mark.parametrize("length", ["abc", "-5", ""])
def test_it_survives_a_length_that_is_none(client, db, length):
    assert client.post("/users/sign_in", {}, CONTENT_LENGTH=length).status_code in {200, 302, 400, 403, 422}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/", "/users/sign_in", "/users/sign_up", "/users/sign_out", "/users/edit",
                                  "/repositories", "/repositories/1", "/explore"])  # fmt: skip
def test_it_survives_methods_that_nothing_here_has(client, db, path, method):
    assert client.generic(method, path).status_code < 500


def test_it_says_in_words_that_a_method_is_not_possible(client, db):
    response = client.post("/explore")

    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"
    assert "Not possible here" in response.text


# What caches may keep


def test_no_cache_hands_to_others_what_somebody_may_see(client, cast, make_namespace, make_repository):
    namespace = make_namespace("payments", team=cast.team)
    repository = make_repository("checkout", namespace=namespace)
    client.force_login(cast.alice)

    for path in ("/repositories", f"/repositories/{repository.pk}"):
        assert client.get(path)["Cache-Control"] == "private, no-cache"
    assert "no-store" in client.get("/users/edit")["Cache-Control"]


def test_styles_and_scripts_may_be_kept(client, db):
    response = client.get("/assets/css/base.css")
    response.close()

    assert response.status_code == 200
    assert "private" not in response["Cache-Control"]


# Below a path prefix

BELOW_PREFIX = """
import json, sys
from django.core.management import call_command
from wsgiref.util import setup_testing_defaults

from portus.wsgi import application

call_command("migrate", verbosity=0)

def get(path, query="", content_type=""):
    environ = {"PATH_INFO": path, "QUERY_STRING": query, "CONTENT_TYPE": content_type, "REMOTE_ADDR": "127.0.0.1"}
    setup_testing_defaults(environ)
    told = []
    body = b"".join(application(environ, lambda status, headers: told.extend([status, dict(headers)])))
    return {"status": told[0], "headers": told[1], "body": body.decode(errors="replace")}

json.dump([get(*request) for request in json.loads(sys.argv[1])], sys.stdout)
"""


PATHS = [
    "/portus/users/sign_up", "/users/sign_up", "/portus/repositories", "/portus/assets/css/base.css",
    "/assets/css/base.css", "/portus/api/v1/_ping", "/portus/nothing", "/portus",
]  # fmt: skip
# Query and content type. Django reads the one while it reads the other, outside its own handling of errors.
ODD_REQUESTS = [
    ("q=a", "text/plain; charset=hex"),  # known to Python, but no encoding of text
    ("q=a", "text/plain; charset*=bogus''x"),
    ("&".join(["a=1"] * 2000), "text/plain; charset=utf-8"),
]


@pytest.fixture(scope="module")
def below_prefix(tmp_path_factory):
    """What the product answers that runs at https://example.org/portus; in a process of its own, as settings are."""
    requests = [*([path] for path in PATHS), *(["/portus/explore", *odd] for odd in ODD_REQUESTS)]
    answers = answers_at("https://example.org/portus", requests, tmp_path_factory.mktemp("data"))
    return SimpleNamespace(pages=dict(zip(PATHS, answers, strict=False)), odd=answers[len(PATHS) :])


def answers_at(public_url, requests, data):
    environ = {
        **os.environ, "PORTUS_DATA": str(data), "PORTUS_PUBLIC_URL": public_url,
        "DJANGO_SETTINGS_MODULE": "portus.settings",
    }  # fmt: skip
    environ.pop("DATABASE_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", BELOW_PREFIX, json.dumps(requests)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("path", ["/users/sign_up", "/portus/users/sign_up"])
def test_it_finds_a_page_whether_or_not_the_proxy_strips_the_prefix(below_prefix, path):
    page = below_prefix.pages[path]

    assert page["status"] == "200 OK"
    assert 'action="/portus/users/sign_up"' in page["body"]
    assert 'href="/portus/assets/css/base' in page["body"]


def test_no_address_in_a_page_leads_out_of_the_prefix(below_prefix):
    addresses = re.findall(r'(?:href|src|action)="([^"#]+)"', below_prefix.pages["/portus/users/sign_up"]["body"])

    assert len(addresses) > 10
    assert [address for address in addresses if not address.startswith("/portus/")] == []


@pytest.mark.parametrize("path", ["/assets/css/base.css", "/portus/assets/css/base.css"])
def test_it_serves_static_files_below_the_prefix(below_prefix, path):
    assert below_prefix.pages[path]["status"] == "200 OK"
    assert "--font" in below_prefix.pages[path]["body"]


def test_it_redirects_below_the_prefix(below_prefix):
    assert (
        below_prefix.pages["/portus/repositories"]["headers"]["Location"]
        == "/portus/users/sign_in?next=/portus/repositories"
    )


def test_its_cookies_stay_below_the_prefix_and_on_https(below_prefix):
    cookie = below_prefix.pages["/portus/users/sign_up"]["headers"]["Set-Cookie"]

    assert "Path=/portus" in cookie
    assert "Secure" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize(
    ("public_url", "own"),
    [
        ("http://localhost:3001", "_3001"),
        ("https://127.0.0.1:3002/portus", "_3002"),
        ("http://localhost", ""),
        ("https://portus.example.org:8443", ""),
    ],
)
def test_two_of_us_on_one_machine_do_not_share_their_cookies(public_url, own):
    """Browsers keep cookies by host, whatever the port."""
    code = "from django.conf import settings; print(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)"
    environ = {**os.environ, "PORTUS_PUBLIC_URL": public_url, "DJANGO_SETTINGS_MODULE": "portus.settings"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)

    assert done.stdout == f"_portus_session{own} _portus_csrf{own}\n"


def test_it_has_the_api_and_the_error_pages_below_the_prefix(below_prefix):
    assert below_prefix.pages["/portus/api/v1/_ping"]["body"] == "200"
    assert below_prefix.pages["/portus/nothing"]["status"] == "404 Not Found"
    assert 'href="/portus/"' in below_prefix.pages["/portus/nothing"]["body"]


def test_it_takes_the_prefix_without_a_slash_for_the_start_page(below_prefix):
    assert below_prefix.pages["/portus"]["headers"]["Location"] == "/portus/users/sign_in"


@pytest.mark.parametrize("number", range(len(ODD_REQUESTS)))
def test_it_answers_what_django_cannot_make_a_request_of(below_prefix, number):
    assert below_prefix.odd[number]["status"] == "400 Bad Request"
    assert "cannot make sense" in below_prefix.odd[number]["body"]
    assert below_prefix.odd[number]["headers"]["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in below_prefix.odd[number]["headers"]["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/v2/token", "/v2/token.json", "/auth/token"])
def test_programs_are_answered_before_what_only_browsers_need(client, registry, path):
    client.cookies["_portus_session"] = "x" * 32

    response = client.get(path, {"service": registry.hostname})

    assert response.status_code == 200
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "Content-Security-Policy" not in response
    assert "Vary" not in response  # nobody has looked at the cookie


def test_what_goes_wrong_for_a_program_is_explained_all_the_same(client, registry):
    wrong_method = client.get("/v2/webhooks/events")
    other_method = client.post("/v2/token")

    assert (wrong_method.status_code, wrong_method.json()["errors"][0]["code"]) == (405, "UNSUPPORTED")
    assert (other_method.status_code, other_method.json()["errors"][0]["code"]) == (404, "NOT_FOUND")
