"""Creating an account on the page: what is refused, beside which field; who becomes administrator; the greeting."""

import pytest
from django.test import Client

from portus.accounts.models import User
from portus.teams.models import Namespace

PATH = "/users/sign_up"
SOMEBODY = {
    "username": "zoe", "email": "zoe@test.lan", "password": "long enough", "password_confirmation": "long enough",
}  # fmt: skip


@pytest.fixture
def sign_up(client, db):
    def post(**fields):
        return client.post(PATH, {**SOMEBODY, **fields})

    return post


def problems(response):
    assert response.status_code == 422
    form = response.context["form"]
    for name in form.errors:
        if name != "__all__":
            tied = form[name].id_for_label + "_error"
            assert f'id="{tied}"' in response.text
            assert tied in str(form[name])  # aria-describedby of the field itself
    return {name: " ".join(errors) for name, errors in form.errors.items()}


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"username": ""}, "username", "required"),
        ({"username": "a:b"}, "username", "no colon"),
        ({"username": "a\x07b"}, "username", "no control characters"),
        ({"username": "a\u202eb"}, "username", "no control characters"),
        ({"username": "portus"}, "username", "belongs to Portus"),
        ({"username": "!!!"}, "username", "namespace"),
        ({"username": "東京"}, "username", "namespace"),
        ({"username": "x" * 256}, "username", "at most 255"),
        ({"username": "a\0b"}, "username", "Null characters"),
        ({"email": ""}, "email", "required"),
        ({"email": "zoe"}, "email", "valid e-mail"),
        ({"email": "zoe@test lan"}, "email", "valid e-mail"),
        ({"email": "a@" + "x" * 300}, "email", "at most 254"),
        ({"password": "short", "password_confirmation": "short"}, "password", "too short"),
        ({"password": "x" * 129, "password_confirmation": "x" * 129}, "password", "too long"),
        ({"password": "", "password_confirmation": ""}, "password", "required"),
        ({"password": "long\0enough", "password_confirmation": "long\0enough"}, "password", "Null characters"),
        ({"password_confirmation": "something else"}, "password_confirmation", "differ"),
    ],
)
def test_it_says_beside_the_field_what_is_wrong(sign_up, fields, field, words):
    assert words in problems(sign_up(**fields))[field]
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"username": "alice"}, "username"), ({"username": "ALICE"}, "username"), ({"email": "Alice@Test.lan"}, "email")],
)
def test_it_says_what_somebody_else_has(cast, sign_up, fields, field):
    assert set(problems(sign_up(**fields))) == {field}


def test_it_shows_all_mistakes_at_once(sign_up):
    found = problems(sign_up(username="a:b", email="nothing", password="short", password_confirmation="short"))

    assert set(found) == {"username", "email", "password"}


def test_it_keeps_what_was_entered_but_not_the_passwords(sign_up):
    page = sign_up(email="no address").text

    assert 'value="zoe"' in page
    assert 'value="no address"' in page
    assert "long enough" not in page


@pytest.mark.parametrize("size", [200_000, 10_000_000])
@pytest.mark.parametrize("field", list(SOMEBODY))
def test_an_enormous_field_is_refused_with_words(sign_up, field, size):
    response = sign_up(**{field: "x" * size})

    assert response.status_code in {413, 422}
    assert len(response.content) < 500_000
    assert not User.objects.exists()


def test_it_wants_the_token_of_its_own_form(db):
    client = Client(enforce_csrf_checks=True)
    client.get(PATH)

    assert client.post(PATH, SOMEBODY).status_code == 403
    assert not User.objects.exists()


# Switched off


@pytest.mark.parametrize("method", ["get", "post"])
def test_switched_off_it_answers_as_if_it_did_not_exist(client, db, configure, method):
    configure(**{"signup.enabled": False})

    assert getattr(client, method)(PATH, SOMEBODY).status_code == 404
    assert not User.objects.exists()


# The administrator


def test_the_first_user_is_told_and_becomes_administrator(client, sign_up):
    page = client.get(PATH).text
    sign_up()

    assert "You are the first user here" in page
    assert "Create administrator" in page
    assert "You have an account?" not in page
    assert User.objects.get().admin


def test_the_first_user_is_none_where_the_option_is_off(client, sign_up, configure):
    configure(**{"first_user_admin.enabled": False})

    page = client.get(PATH).text
    sign_up()

    assert "administrator" not in page
    assert not User.objects.get().admin


@pytest.mark.parametrize("field", ["admin", "user[admin]", "is_admin", "is_superuser", "bot", "is_active"])
def test_later_ones_are_none_whatever_the_form_sends(cast, client, sign_up, field):
    page = client.get(PATH).text
    sign_up(**{field: "true"})

    assert "administrator" not in page
    user = User.objects.get(username="zoe")
    assert (user.admin, user.bot, user.is_active) == (False, False, True)


@pytest.mark.parametrize("field", ["admin", "user[admin]"])
def test_the_form_makes_no_administrator_of_the_first_one_either(sign_up, configure, field):
    configure(**{"first_user_admin.enabled": False})
    sign_up(**{field: "true"})

    assert not User.objects.get().admin


# Welcome


def test_she_is_signed_in_and_greeted_with_her_namespace(registry, client, sign_up):
    response = sign_up()

    assert response["Location"] == "/"
    page = client.get("/", follow=True)
    assert page.request["PATH_INFO"] == "/repositories"
    assert "Welcome, zoe." in page.text
    assert "Your personal namespace is zoe." in page.text
    assert Namespace.objects.get(personal_owner__username="zoe").name == "zoe"


def test_she_is_told_when_her_name_had_to_be_changed(registry, client, sign_up):
    sign_up(username="Zoë Quinn!")

    page = client.get("/", follow=True).text
    assert "Your personal namespace is zo_quinn." in page
    assert "characters that registries do not accept" in page
    assert "was taken" not in page


def test_she_is_told_when_her_name_was_taken(cast, make_namespace, client, sign_up):
    make_namespace("zoe", team=cast.team)
    sign_up()

    page = client.get("/", follow=True).text
    assert "Your personal namespace is zoe0." in page
    assert "The name zoe was taken." in page
    assert "characters that registries" not in page


def test_without_a_registry_no_namespace_is_promised(client, sign_up):
    sign_up()

    page = client.get("/", follow=True).text
    assert "Welcome, zoe." in page
    assert "namespace is" not in page


def test_she_goes_on_to_the_page_that_she_asked_for(registry, client, sign_up):
    assert sign_up(next="/repositories?q=x")["Location"] == "/repositories?q=x"


def test_she_goes_on_to_no_other_site(registry, client, sign_up):
    assert sign_up(next="https://evil.test/")["Location"] == "/"


def test_somebody_signed_in_goes_on_to_the_start_page(cast, client, sign_up):
    client.force_login(cast.alice)

    assert sign_up()["Location"] == "/"
    assert not User.objects.filter(username="zoe").exists()
