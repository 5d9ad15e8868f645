"""The profile: details and password. The tokens have a file of their own."""

import pytest
from django.test import Client

from portus.accounts.backends import Outcome, check_password
from portus.accounts.models import SignInFailure

pytestmark = pytest.mark.django_db

PATH = "/users/edit"
NEW = "a new password"


@pytest.fixture
def alice(cast, client):
    client.force_login(cast.alice)
    return cast.alice


@pytest.mark.parametrize("path", [PATH])
def test_strangers_are_asked_to_sign_in(client, path):
    assert client.get(path)["Location"] == f"/users/sign_in?next={path}"


@pytest.mark.parametrize("path", [f"{PATH}/details", f"{PATH}/password", f"{PATH}/tokens", f"{PATH}/tokens/1/revoke"])
def test_strangers_change_nothing(client, path):
    response = client.post(path)

    assert response.status_code == 302
    assert response["Location"].startswith("/users/sign_in?next=")


@pytest.mark.parametrize("path", [f"{PATH}/details", f"{PATH}/password", f"{PATH}/tokens", f"{PATH}/tokens/1/revoke"])
def test_whoever_comes_to_a_form_without_one_finds_the_profile(alice, client, path):
    """Signing in again leads here, when the session ended while somebody filled in a form."""
    response = client.get(path)

    assert (response.status_code, response.get("Location")) == (302, PATH)
    assert client.put(path).status_code == 405
    assert client.put(path)["Allow"] == "POST"


@pytest.mark.parametrize("path", [f"{PATH}/details", f"{PATH}/password", f"{PATH}/tokens"])
def test_each_form_wants_its_token(cast, path):
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.alice)

    assert client.post(path, {"token-application": "x"}).status_code == 403
    assert not cast.alice.application_tokens.exists()


def test_it_shows_who_she_is(alice, client):
    page = client.get(PATH).text

    assert "<strong>alice</strong>" in page
    assert 'value="alice@test.lan"' in page
    assert "administrator" not in page


def test_it_tells_an_administrator_that_she_is_one(cast, client):
    client.force_login(cast.ada)

    assert "administrator" in client.get(PATH).text


def test_no_cache_keeps_it(alice, client):
    assert "no-store" in client.get(PATH)["Cache-Control"]


def test_it_asks_the_same_number_of_queries_for_any_number_of_tokens(alice, client, django_assert_num_queries):
    with django_assert_num_queries(4):  # session, user, the user as stored, tokens
        client.get(PATH)
    for number in range(5):
        alice.application_tokens.create(application=f"app {number}", digest=str(number))
    with django_assert_num_queries(4):
        client.get(PATH)


# Details


@pytest.mark.parametrize(
    ("email", "words"),
    [("", "required"), ("no address", "valid e-mail"), ("bob@test.lan", "already"), ("BOB@test.lan", "already"),
     ("a\0@b", "Null characters"), ("a@" + "x" * 300, "at most 254")],
)  # fmt: skip
def test_an_address_that_will_not_do_is_refused(alice, client, email, words):
    response = client.post(f"{PATH}/details", {"details-email": email})

    assert response.status_code == 422
    assert words in response.text
    assert 'id="id_details-email_error"' in response.text
    alice.refresh_from_db()
    assert alice.email == "alice@test.lan"


def test_it_saves_the_address(alice, client):
    response = client.post(f"{PATH}/details", {"details-email": "new@test.lan"}, follow=True)

    assert "Your details are saved." in response.text
    alice.refresh_from_db()
    assert alice.email == "new@test.lan"


def test_display_names_are_neither_shown_nor_read_where_they_are_off(alice, client):
    alice.display_name = "Alice L."
    alice.save()

    page = client.get(PATH).text
    client.post(f"{PATH}/details", {"details-email": "new@test.lan", "details-display_name": "Eve"})

    assert "Display name" not in page
    alice.refresh_from_db()
    assert alice.display_name == "Alice L."


def test_it_saves_the_display_name(alice, client, configure):
    configure(**{"display_name.enabled": True})

    client.post(f"{PATH}/details", {"details-email": "alice@test.lan", "details-display_name": "Alice L."})

    assert '<span class="menu-name">Alice L.</span>' in client.get(PATH).text


def test_two_people_may_have_no_display_name_but_not_the_same(cast, alice, client, configure):
    configure(**{"display_name.enabled": True})
    cast.bob.display_name = "Somebody"
    cast.bob.save()

    same = client.post(f"{PATH}/details", {"details-email": "alice@test.lan", "details-display_name": "Somebody"})
    none = client.post(f"{PATH}/details", {"details-email": "alice@test.lan", "details-display_name": " "})

    assert same.status_code == 422
    assert none.status_code == 302


@pytest.mark.parametrize("field", ["username", "admin", "bot", "is_active", "details-admin", "details-username"])
def test_nothing_else_is_read(alice, client, field):
    client.post(f"{PATH}/details", {"details-email": "alice@test.lan", field: "true"})

    alice.refresh_from_db()
    assert (alice.username, alice.admin, alice.bot, alice.is_active) == ("alice", False, False, True)


# Password


def change(client, current, new=NEW, again=None):
    fields = {"current": current, "password": new, "confirmation": new if again is None else again}
    return client.post(f"{PATH}/password", {f"password-{name}": value for name, value in fields.items()})


@pytest.mark.parametrize(
    ("current", "new", "again", "words"),
    [
        ("a wrong one", NEW, NEW, "not your current password"),
        ("", NEW, NEW, "required"),
        (None, "short", "short", "too short"),
        (None, "x" * 129, "x" * 129, "too long"),
        (None, "", "", "required"),
        (None, NEW, "another one", "differ"),
        (None, "with\0nul inside", "with\0nul inside", "Null characters"),
    ],
)
def test_a_password_is_not_changed_without_reason(alice, client, password, current, new, again, words):
    response = change(client, password if current is None else current, new, again)

    assert response.status_code == 422
    assert words in response.text
    assert check_password("alice", password)[0] is Outcome.OK


def test_wrong_current_passwords_count_as_at_the_sign_in(alice, client, password):
    for number in range(10):
        change(client, f"wrong {number}")

    assert "Too many wrong passwords" in change(client, password).text
    assert SignInFailure.objects.filter(name_key="alice").count() == 10


def test_it_changes_the_password_and_keeps_this_session(alice, client, password):
    key = client.session.session_key

    response = change(client, password)

    assert response["Location"] == PATH
    assert "Your password is changed" in client.get(PATH).text
    assert client.session.session_key != key
    assert check_password("alice", NEW)[0] is Outcome.OK
    assert check_password("alice", password)[0] is Outcome.WRONG


def test_it_ends_her_other_sessions(alice, client, password):
    other = Client()
    other.force_login(alice)
    assert other.get(PATH).status_code == 200

    change(client, password)

    assert other.get(PATH).status_code == 302
    assert client.get(PATH).status_code == 200
