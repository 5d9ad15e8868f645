"""The pages in a browser: a newcomer's way, the same without JavaScript, on a phone, for people who do not see well."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.sessions.models import Session

from portus.accounts.models import User
from portus.accounts.operations import create_token
from portus.repositories.models import Repository

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = {"width": 360, "height": 740}


@pytest.fixture
def complaints(page):
    """What the browser complains of: errors in scripts, and whatever the content security policy has blocked."""
    found = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if "Content Security" in message.text else None)
    return found


def enter_a_wrong_password(page):
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("a wrong password")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("User name or password is wrong.").wait_for()


def send_an_empty_form(page):
    page.evaluate("document.querySelector('main form').noValidate = true")
    page.get_by_role("button", name="Create account").click()
    page.get_by_text("This field is required.").first.wait_for()


def create_a_token(page):
    page.get_by_label("What is it for?").fill("gitlab-runner of the production cluster")
    page.get_by_role("button", name="Create token").click()
    page.get_by_text("It is shown only this once").wait_for()


def unfold_everything(page):
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")


def nothing(_page):
    pass


SIGNED_OUT = {
    "sign-in": ("/users/sign_in", nothing),
    "wrong password": ("/users/sign_in", enter_a_wrong_password),
    "sign-up": ("/users/sign_up", nothing),
    "wrong sign-up": ("/users/sign_up", send_an_empty_form),
    "explore": ("/explore", nothing),
    "not found": ("/nothing", nothing),
}
SIGNED_IN = {
    "list": ("/repositories", nothing),
    "nothing found": ("/repositories?q=zzz", nothing),
    "repository": ("/repositories/{app}", nothing),
    "repository, unfolded": ("/repositories/{app}", unfold_everything),
    "untagged": ("/repositories/{app}?show=untagged", nothing),
    "profile": ("/users/edit", nothing),
    "profile, unfolded": ("/users/edit", unfold_everything),
    "new token": ("/users/edit", create_a_token),
    "sign-out": ("/users/sign_out", nothing),
}


@pytest.fixture
def visit(page, site, catalogue, cast, sign_in_as):
    """Open one page after the other, with what people see there; yield the name of each."""

    def visited(pages):
        for name, (path, prepare) in pages.items():
            page.goto(site + path.format(app=catalogue.app.pk))
            prepare(page)
            yield name

    def everything():
        yield from visited(SIGNED_OUT)
        create_token(cast.alice, "laptop", actor=cast.alice)
        sign_in_as(cast.alice)
        page.wait_for_url(f"{site}/repositories")
        yield from visited(SIGNED_IN)
        Repository.objects.all().delete()
        yield from visited({"first steps": ("/repositories", nothing)})

    return everything


def test_a_newcomer_gets_from_the_sign_up_to_her_image(
    page, site, registry, make_repository, make_tag, complaints
):  # fmt: skip
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(site)
    page.get_by_text("You are the first user here").wait_for()
    page.get_by_label("User name").fill("zoe")
    page.get_by_label("E-mail").fill("zoe@test.lan")
    page.get_by_label("Password", exact=True).fill("long enough")
    page.get_by_label("Password again").fill("long enough")
    page.get_by_role("button", name="Create administrator").click()
    page.get_by_text("Your personal namespace is zoe.").wait_for()
    page.get_by_text("docker push registry.test:5000/zoe/hello-world:1.0").wait_for()

    page.get_by_role("link", name="an application token").click()
    page.get_by_label("What is it for?").fill("laptop")
    page.get_by_label("What is it for?").press("Enter")
    page.get_by_role("button", name="Copy token").click()
    page.get_by_role("button", name="Copied").wait_for()
    value = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r"ptk_\w{40}", value)
    assert value not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert value not in page.url
    page.reload()
    assert value not in page.content()
    page.get_by_role("rowheader", name="laptop").wait_for()

    zoe = User.objects.get(username="zoe")
    make_tag(make_repository("hello-world", namespace=zoe.personal_namespaces.get()), "1.0", author=zoe)
    page.get_by_role("link", name="Repositories").click()
    page.get_by_role("link", name="hello-world").click()
    page.get_by_role("heading", name="zoe/hello-world").wait_for()
    page.get_by_role("button", name="Copy docker").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "docker pull registry.test:5000/zoe/hello-world:1.0"
    assert complaints == []


def test_the_list_follows_what_is_typed(page, site, catalogue, cast, sign_in_as, complaints):
    sign_in_as(cast.alice)
    page.get_by_role("link", name="debian").wait_for()

    page.get_by_label("Find by name").press_sequentially("ledg")

    page.get_by_text("1 repository").first.wait_for()
    assert page.get_by_role("link", name="debian").count() == 0
    assert page.url.endswith("?q=ledg")
    assert page.evaluate("document.activeElement.id") == "q"
    page.get_by_role("link", name="ledger").click()
    page.go_back()
    page.get_by_role("link", name="ledger").wait_for()
    page.get_by_role("heading", name="Repositories").wait_for()  # the page, not the fragment alone
    assert complaints == []


def test_everything_works_by_keyboard(page, site, cast, password):
    page.goto(f"{site}/users/sign_in")
    page.keyboard.type("alice")
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/repositories")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.locator("header summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Sign out"
    page.keyboard.press("Escape")
    assert page.locator("details.menu[open]").count() == 0
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_a_refused_token_says_why_and_the_focus_follows(page, site, cast, sign_in_as, complaints):
    create_token(cast.alice, "laptop", actor=cast.alice)
    sign_in_as(cast.alice)
    page.goto(f"{site}/users/edit")

    page.get_by_label("What is it for?").fill("laptop")
    page.get_by_label("What is it for?").press("Enter")

    page.get_by_text("Application has already been taken").wait_for()
    assert page.url == f"{site}/users/edit"
    assert complaints == []


def test_it_says_so_when_the_server_does_not_answer(page, site, cast, sign_in_as):
    sign_in_as(cast.alice)
    page.goto(f"{site}/users/edit")
    page.route("**/users/edit/tokens", lambda route: route.abort())

    page.get_by_label("What is it for?").fill("laptop")
    page.get_by_role("button", name="Create token").click()

    page.get_by_role("alert").get_by_text("That did not work.").wait_for()


def test_it_asks_to_sign_in_when_the_session_has_ended(page, site, cast, sign_in_as):
    sign_in_as(cast.alice)
    page.goto(f"{site}/users/edit")
    Session.objects.all().delete()

    page.get_by_label("What is it for?").fill("laptop")
    page.get_by_role("button", name="Create token").click()

    page.get_by_role("heading", name="Sign in").wait_for()


def test_it_works_without_javascript(browser, site, catalogue, cast, password):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/repositories/{catalogue.app.pk}")
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="payments/checkout").wait_for()
    assert page.get_by_role("button", name=re.compile("^Copy")).count() == 0
    page.locator(".image-more:not([open]) > summary").first.click()

    page.goto(f"{site}/repositories")
    page.get_by_label("Find by name").fill("ledger")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="ledger").wait_for()
    assert page.get_by_role("link", name="debian").count() == 0

    page.goto(f"{site}/users/edit")
    page.get_by_label("What is it for?").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    page.get_by_text(re.compile(r"ptk_\w{40}")).wait_for()
    page.locator("summary", has_text="Revoke laptop").click()
    page.get_by_role("button", name="Revoke laptop").click()
    page.get_by_text("The token laptop is revoked.").wait_for()

    page.locator("header summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out.").wait_for()
    context.close()


def test_nothing_is_wider_than_a_phone(page, visit, complaints):
    page.set_viewport_size(PHONE)

    wide = [name for name in visit() if page.evaluate("document.documentElement.scrollWidth > window.innerWidth")]

    assert wide == []
    assert complaints == []


@pytest.mark.parametrize("size", [PHONE, {"width": 1100, "height": 800}], ids=["phone", "desk"])
def test_the_list_shows_once_who_may_pull(page, catalogue, cast, sign_in_as, size):
    page.set_viewport_size(size)
    sign_in_as(cast.alice)

    for name, visibility in (("ledger", "private"), ("debian", "public"), ("lint", "protected")):
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name))
        row.wait_for()
        assert row.inner_text().lower().count(visibility) == 1


def sticking_out(page):
    """Buttons, links and names that reach beyond the window, or buttons beyond the form or panel that they are in."""
    return page.evaluate("""[...document.querySelectorAll('a, button, summary, h1, strong')]
        .filter(element => element.checkVisibility() && !element.matches('.skip'))
        .filter(element => {
            const box = element.getBoundingClientRect();
            const frame = element.closest('form, .panel, header')?.getBoundingClientRect();
            const right = Math.min(window.innerWidth, frame ? frame.right : Infinity);
            return box.left < 0 || box.right > right + 0.5 || element.scrollWidth > element.clientWidth + 1
                && !element.closest('.menu') && getComputedStyle(element).display !== 'inline';
        })
        .map(element => element.textContent.trim().slice(0, 40))""")


@pytest.mark.parametrize("size", [PHONE, {"width": 1100, "height": 800}], ids=["phone", "desk"])
def test_names_as_long_as_they_may_be_fit(page, cast, make_user, make_repository, make_tag, site, sign_in_as, size):
    page.set_viewport_size(size)
    longest = make_user("w" * 255)
    repository = make_repository("m" * 255, namespace=longest.personal_namespaces.get())
    make_tag(repository, "w" * 128, author=longest, author_name=longest.username)
    create_token(longest, "m" * 255, actor=longest)
    sign_in_as(longest)
    page.wait_for_url(f"{site}/repositories")

    for path in ("/repositories", f"/repositories/{repository.pk}", "/users/edit", "/users/sign_out"):
        page.goto(site + path)
        unfold_everything(page)
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"], path
        assert sticking_out(page) == [], path
        assert page.evaluate("document.querySelector('.header-bar').offsetHeight") <= 60, path  # one line

    page.goto(f"{site}/users/edit")
    page.locator("details.confirm > summary").click()
    page.get_by_role("button", name="Revoke m").click()
    page.get_by_text("is revoked.").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", {"width": 1100, "height": 800}), ("dark", PHONE)], ids=["light desk", "dark phone"]
)
def test_axe_finds_nothing(page, visit, complaints, scheme, size):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    found = {}

    for name in visit():
        results = Axe().run(page)
        if results.violations_count:
            found[name] = [(one["id"], one["nodes"][0]["html"]) for one in results.response["violations"]]

    assert found == {}
    assert complaints == []
