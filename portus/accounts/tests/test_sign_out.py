import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

PATH = "/users/sign_out"


def test_a_link_alone_signs_nobody_out(cast, client):
    client.force_login(cast.alice)

    response = client.get(PATH)

    assert "Sign out?" in response.text
    assert client.get("/users/edit").status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_it_ends_the_session_and_says_so(cast, client, method):
    client.force_login(cast.alice)

    response = client.generic(method, PATH)

    assert response["Location"] == "/users/sign_in"
    assert "You are signed out." in client.get("/users/sign_in").text
    assert client.get("/users/edit").status_code == 302


def test_another_site_cannot_do_it(cast):
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.alice)

    assert client.post(PATH).status_code == 403
    assert client.get("/users/edit").status_code == 200


def test_it_leads_to_no_other_site(cast, client):
    client.force_login(cast.alice)

    assert client.post(PATH, {"next": "https://evil.test/"})["Location"] == "/users/sign_in"


def test_signed_out_already_it_leads_to_the_sign_in(client):
    assert client.get(PATH)["Location"] == "/users/sign_in"
