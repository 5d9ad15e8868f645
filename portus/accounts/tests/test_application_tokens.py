"""Application tokens on the profile page: made, shown once, revoked."""

import re

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from portus.accounts.backends import Outcome, authenticate_basic
from portus.accounts.operations import create_token

pytestmark = pytest.mark.django_db

PROFILE = "/users/edit"
PATH = "/users/edit/tokens"
VALUE = re.compile(r"ptk_\w{40}")


@pytest.fixture
def alice(cast, client):
    client.force_login(cast.alice)
    return cast.alice


def create(client, application="ci", **headers):
    return client.post(PATH, {"token-application": application}, headers=headers)


def test_the_value_is_shown_and_opens_the_registry(alice, client):
    response = create(client)

    value = VALUE.search(response.text)[0]
    assert response.status_code == 200
    assert "Token for ci created" in response.text
    assert authenticate_basic("alice", value)[0] is Outcome.OK


def test_the_value_is_shown_once_and_kept_nowhere(alice, client):
    response = create(client)

    value = VALUE.search(response.text)[0]
    assert "no-store" in response["Cache-Control"]
    assert value not in response.headers.get("Location", "")
    assert not VALUE.search(client.get(PROFILE).text)
    assert value not in str([session.get_decoded() for session in Session.objects.all()])
    assert value not in str(client.cookies)


def test_sending_the_form_again_shows_no_value(alice, client):
    create(client)
    response = create(client)

    assert response.status_code == 422
    assert "Application has already been taken" in response.text
    assert not VALUE.search(response.text)
    assert alice.application_tokens.count() == 1


def test_htmx_gets_the_part_that_changed(alice, client):
    response = create(client, **{"HX-Request": "true"})

    assert VALUE.search(response.text)
    assert response.text.lstrip().startswith("<section")
    assert "<html" not in response.text
    assert "no-store" in response["Cache-Control"]
    assert "HX-Request" in response["Vary"]


@pytest.mark.parametrize(
    ("application", "words"),
    [("", "required"), ("  ", "required"), ("x" * 256, "at most 255"), ("a\0b", "Null characters")],
)
def test_a_name_that_will_not_do_is_refused_beside_the_field(alice, client, application, words):
    response = create(client, application)

    assert response.status_code == 422
    assert words in response.text
    assert 'aria-describedby="id_token-application_helptext id_token-application_error"' in response.text
    assert not alice.application_tokens.exists()


def test_names_are_shown_as_they_were_typed(alice, client):
    response = create(client, "<script>alert(1)</script>")

    assert "<script>alert" not in response.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in response.text


def test_five_are_enough(alice, client):
    for number in range(5):
        create(client, f"app {number}")

    page = client.get(PROFILE).text
    sixth = create(client, "one more")

    assert "You have 5 tokens" in page
    assert "Create token" not in page
    assert sixth.status_code == 422
    assert "more than 5" in sixth.text
    assert alice.application_tokens.count() == 5


def test_the_list_tells_when_each_was_made_used_and_runs_out(alice, client):
    token, _ = create_token(alice, "ci", actor=alice)
    token.last_used_at, token.expires_at = timezone.now(), timezone.now() + timezone.timedelta(days=3, hours=1)
    token.save()

    page = client.get(PROFILE).text

    assert "in 3 days" in page
    assert page.count(token.created_at.strftime("%Y-%m-%d %H:%M UTC")) >= 1


def test_others_do_not_see_them(cast, alice, client):
    create_token(cast.bob, "bobs secret machine", actor=cast.bob)

    assert "bobs secret machine" not in client.get(PROFILE).text


# Revoking


def test_it_asks_before_it_revokes(alice, client):
    token, _ = create_token(alice, "ci", actor=alice)

    page = client.get(PROFILE).text

    assert "Whatever uses it will be refused." in page
    assert client.get(f"{PATH}/{token.pk}/revoke")["Location"] == PROFILE  # which asks again, and does nothing
    assert alice.application_tokens.exists()


def test_a_revoked_token_opens_nothing(alice, client):
    token, value = create_token(alice, "ci", actor=alice)

    response = client.post(f"{PATH}/{token.pk}/revoke", follow=True)

    assert "The token ci is revoked." in response.text
    assert authenticate_basic("alice", value)[0] is Outcome.WRONG


@pytest.mark.parametrize("person", ["alice", "ada"])
def test_somebody_elses_token_is_not_found(cast, client, person):
    token, _ = create_token(cast.bob, "ci", actor=cast.bob)
    client.force_login(getattr(cast, person))

    assert client.post(f"{PATH}/{token.pk}/revoke").status_code == 404
    assert cast.bob.application_tokens.exists()


@pytest.mark.parametrize("number", ["0", "999999", "9" * 40])
def test_a_token_that_is_not_there_is_not_found(alice, client, number):
    assert client.post(f"{PATH}/{number}/revoke").status_code == 404
