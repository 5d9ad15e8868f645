"""The documentation of the API in a browser, under our content security policy."""

import pytest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def complaints(page):
    """What the browser complains of; that a component is not well is an answer."""
    found = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type in {"error", "warning"} else None)
    yield found
    assert [text for text in found if "status of 503" not in text] == []


def test_an_operation_can_be_tried_out(page, site, complaints):
    page.goto(f"{site}/api/docs")

    page.get_by_text("Tell how the database and the registries are").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.get_by_text("no registry configured").first.wait_for()


def test_a_session_writes_with_its_csrf_token(page, site, cast, sign_in_as, complaints):
    sign_in_as(cast.alice)
    page.wait_for_url(f"{site}/repositories")
    page.goto(f"{site}/api/docs")

    page.get_by_text("Create a team").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("textbox").last.fill('{"name": "crew"}')
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table").get_by_text("crew").first.wait_for()

    cast.alice.memberships.get(team__name="crew")


def test_a_visitor_gets_no_csrf_token(client, cast):
    response = client.get("/api/docs")

    assert "data-csrf-token" not in response.text
    assert not response.cookies
