import pytest

pytestmark = pytest.mark.django_db


def test_strangers_sign_in_first_and_come_back_to_no_page_in_particular(cast, client):
    response = client.get("/", follow=True)

    assert response.redirect_chain == [("/users/sign_in", 302)]
    assert "page that you asked for" not in response.text


def test_before_there_is_anybody_it_leads_to_the_sign_up(client):
    assert client.get("/", follow=True).redirect_chain[-1] == ("/users/sign_up", 302)


def test_people_with_an_account_see_their_repositories(cast, client):
    client.force_login(cast.alice)

    assert client.get("/")["Location"] == "/repositories"


def test_search_engines_are_kept_to_what_is_published(client):
    assert client.get("/robots.txt").text == "User-agent: *\nAllow: /explore\nDisallow: /\n"
