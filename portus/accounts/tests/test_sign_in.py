"""Signing in on the page: who may not, and what she is told; then who may."""

import re

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils.html import escape

from portus.accounts import hashing
from portus.accounts.hashing import Room
from portus.accounts.models import SignInFailure
from portus.accounts.operations import create_token

pytestmark = pytest.mark.django_db

PATH = "/users/sign_in"
WRONG = "User name or password is wrong."


@pytest.fixture
def sign_in(client):
    def post(username, password, **fields):
        return client.post(PATH, {"login": username, "password": password, **fields})

    return post


def without_token(page):
    """Forms carry a token that differs from one answer to the next."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page)


def is_signed_in(client):
    return client.get("/users/edit").status_code == 200


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(cast, sign_in, client):
    unknown, wrong = sign_in("nobody", "a wrong password"), sign_in("alice", "a wrong password")

    assert (unknown.status_code, wrong.status_code) == (422, 422)
    assert WRONG in unknown.text
    assert without_token(unknown.text).replace("nobody", "alice") == without_token(wrong.text)
    assert not is_signed_in(client)


def test_the_password_is_not_sent_back(cast, sign_in):
    assert "a wrong password" not in sign_in("alice", "a wrong password").text


def test_the_name_is_kept_and_escaped(cast, sign_in):
    response = sign_in('<b>"x"', "a wrong password")

    assert escape('<b>"x"') in response.text
    assert '<b>"x"' not in response.text


def test_after_ten_different_wrong_passwords_it_says_that_the_name_is_locked(cast, sign_in, client, password):
    for number in range(10):
        assert WRONG in sign_in("alice", f"wrong password {number}").text

    response = sign_in("alice", password)

    assert response.status_code == 422
    assert "Too many wrong passwords for this name." in response.text
    assert not is_signed_in(client)


def test_a_locked_name_says_nothing_about_whether_somebody_has_it(cast, sign_in):
    for number in range(10):
        sign_in("nobody", f"wrong password {number}")

    assert "Too many wrong passwords for this name." in sign_in("nobody", "another one").text


def test_a_locked_name_does_not_end_an_open_session(cast, client, password):
    client.force_login(cast.alice)
    for number in range(10):
        SignInFailure.objects.create(name_key="alice", fingerprint=str(number))

    assert is_signed_in(client)


def test_a_disabled_user_is_told_so_when_the_password_is_right(cast, sign_in, client, password):
    cast.alice.is_active = False
    cast.alice.save()

    assert "This account has been disabled." in sign_in("alice", password).text
    assert WRONG in sign_in("alice", "a wrong password").text
    assert not is_signed_in(client)


def test_a_session_ends_when_its_user_is_disabled(cast, client):
    client.force_login(cast.alice)
    cast.alice.is_active = False
    cast.alice.save()

    assert not is_signed_in(client)


def test_a_busy_server_asks_to_come_again(cast, sign_in, monkeypatch, password):
    full = Room(at_once=1, inside=1, patience_seconds=0.01)
    full._inside.acquire()
    monkeypatch.setattr(hashing, "room", full)

    response = sign_in("alice", password)

    assert response.status_code == 429
    assert response["Retry-After"] == "2"
    assert "Too many people are signing in" in response.text


def test_a_bot_cannot_sign_in(make_user, sign_in, client, password):
    make_user("robot", bot=True)

    assert WRONG in sign_in("robot", password).text
    assert not is_signed_in(client)


def test_an_application_token_does_not_open_the_pages(cast, sign_in, client):
    _, value = create_token(cast.alice, "ci", actor=cast.alice)

    assert WRONG in sign_in("alice", value).text
    assert not is_signed_in(client)


@pytest.mark.parametrize("password", ["\0", "a\0b", "x" * 100_000, "\U0001f600\u202e\ud7ff", " ", "\r\n"])
@pytest.mark.parametrize("username", ["\0", "alice\0", "x" * 100_000, "\u202e\U0001f600", "ali:ce", "\t", "İ" * 255])
def test_odd_values_are_refused_with_words(cast, sign_in, username, password):
    response = sign_in(username, password)

    assert response.status_code == 422
    assert 'class="field-errors"' in response.text or 'role="alert"' in response.text


def test_missing_fields_are_named_beside_them(cast, client):
    response = client.post(PATH, {})

    assert response.status_code == 422
    assert 'aria-describedby="id_login_error"' in response.text
    assert 'id="id_login_error"' in response.text
    assert 'aria-describedby="id_password_error"' in response.text


def test_it_wants_the_token_of_its_own_form(cast, password):
    client = Client(enforce_csrf_checks=True)
    client.get(PATH)

    response = client.post(PATH, {"login": "alice", "password": password})

    assert response.status_code == 403
    assert "Your form has expired" in response.text


# Who may


@pytest.mark.parametrize("username", ["alice", "ALICE", " alice ", "\uff41lice"])
def test_it_signs_in_by_the_name_in_any_spelling(cast, sign_in, client, password, username):
    response = sign_in(username, password)

    assert response.status_code == 302
    assert response["Location"] == "/"
    assert is_signed_in(client)


def test_it_says_nothing_about_it(cast, sign_in, client, password):
    sign_in("alice", password)

    assert 'class="notices"' not in client.get("/", follow=True).text


def test_the_session_key_is_a_new_one(cast, sign_in, client, password):
    session = client.session
    session["before"] = True
    session.save()
    client.cookies["_portus_session"] = session.session_key

    sign_in("alice", password)

    assert client.session.session_key != session.session_key
    assert not Session.objects.filter(session_key=session.session_key).exists()


def test_the_cookie_is_for_this_browser_session_and_for_us_alone(cast, sign_in, client, password):
    sign_in("alice", password)

    cookie = client.cookies["_portus_session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Lax", True)
    assert cookie["max-age"] == ""


def test_it_leads_back_to_the_page_that_was_asked_for(cast, client, password):
    asked = client.get("/repositories?q=a%26b")
    page = client.get(asked["Location"])

    response = client.post(PATH, {"login": "alice", "password": password, "next": page.context["redirect_field_value"]})

    assert "Sign in to see the page that you asked for." in page.text
    assert response["Location"] == "/repositories?q=a%26b"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/", "//evil.test/", "///evil.test", "/\\evil.test", "\\\\evil.test", "http:evil.test",
        "javascript:alert(1)", "https://portus.test.lan@evil.test/", "https://testserver/", "\t//evil.test",
        "/\t/evil.test", "data:text/html,x", " https://evil.test",
    ],
)  # fmt: skip
def test_it_leads_nowhere_else(cast, sign_in, password, target):
    assert sign_in("alice", password, next=target)["Location"] == "/"


def test_the_host_header_is_not_believed(cast, client, password):
    response = client.post(
        f"{PATH}?next=https://evil.test/x", {"login": "alice", "password": password}, headers={"Host": "evil.test"}
    )

    assert response["Location"] == "/"


def test_it_knows_its_own_address(cast, sign_in, password):
    assert sign_in("alice", password, next="https://portus.test.lan/explore")["Location"].endswith("/explore")


def test_somebody_signed_in_goes_on_to_the_start_page(cast, client):
    client.force_login(cast.alice)

    assert client.get(PATH)["Location"] == "/"


# What the page offers


def test_without_any_user_it_leads_to_the_sign_up(client):
    assert client.get(f"{PATH}?next=/repositories")["Location"] == "/users/sign_up?next=%2Frepositories"


def test_without_any_user_and_without_sign_up_it_shows_itself(client, configure):
    configure(**{"signup.enabled": False})

    assert client.get(PATH).status_code == 200


def test_it_offers_the_sign_up_only_where_there_is_one(cast, client, configure):
    assert "Create an account" in client.get(PATH).text
    configure(**{"signup.enabled": False})
    assert "Create an account" not in client.get(PATH).text


def test_it_offers_the_public_repositories_only_where_they_may_be_browsed(cast, client, configure):
    assert 'href="/explore"' in client.get(PATH).text
    configure(**{"anonymous_browsing.enabled": False})
    assert 'href="/explore"' not in client.get(PATH).text


def test_switched_off_it_takes_no_password_either(cast, sign_in, client, configure, password):
    configure(**{"oauth.local_login.enabled": False})

    assert "switched off" in client.get(PATH).text
    assert 'type="password"' not in client.get(PATH).text
    assert sign_in("alice", password).status_code == 403
    assert not is_signed_in(client)


def test_no_cache_keeps_it(cast, client):
    assert "no-store" in client.get(PATH)["Cache-Control"]
