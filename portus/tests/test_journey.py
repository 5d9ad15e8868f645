"""What a new user does and gets, from `portus up` to a pushed image in the browser; and what others are refused.

Everything is real: the started product, a registry, skopeo, a browser.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portus.tests.servers import images
from portus.tests.servers.client import RegistryClient
from portus.tests.servers.waiting import seconds_until

PASSWORD = "a password of tests"
ROOT = Path(__file__).parents[2]
SECONDS_UNTIL_SHOWN = 2

pytestmark = pytest.mark.browser


@pytest.fixture
def running(start_portus, registry_binary):
    return start_portus(registry=registry_binary)


def sign_up(page, running, name):
    page.goto(f"{running.url}/users/sign_up")
    page.get_by_label("User name").fill(name)
    page.get_by_label("E-mail").fill(f"{name}@test.lan")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Create").click()


def create_token(page, running):
    page.goto(f"{running.url}/users/edit")
    page.get_by_label("For").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    return page.get_by_role("status").get_by_text("ptk_").inner_text()


def in_catalogue(running, digest):
    return lambda: running.rows("SELECT 1 FROM repositories_manifest WHERE digest = ?", digest) != []


def administrate(running, script):
    """Do what has no page yet, as the operator of the place."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "shell", "-v", "0", "-c", script],
        check=False, capture_output=True, text=True, env=running.environ, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_from_the_first_start_to_an_image_in_the_browser(running, browser, page, skopeo, tmp_path):
    # She comes to a place without users, and is its administrator.
    page.goto(running.url)
    assert page.url.startswith(f"{running.url}/users/sign_up")
    sign_up(page, running, "ann")
    assert "Welcome, ann. You are the administrator. Your personal namespace is ann." in page.content()

    # She logs her client in with the password, then with a token that she is shown once.
    assert skopeo.login(running.registry_address, "ann", "wrong").returncode != 0
    assert skopeo.login(running.registry_address, "ann", PASSWORD).returncode == 0
    token = create_token(page, running)
    page.reload()
    assert token not in page.content()
    assert skopeo.logout(running.registry_address).returncode == 0
    assert skopeo.login(running.registry_address, "ann", token).returncode == 0

    # She pushes one image of each kind; within two seconds each is in the catalogue.
    app = f"docker://{running.registry_address}/ann/app"
    docker, oci, index = images.docker_image(), images.oci_image(), images.oci_index()
    for image, tag in ((docker, "docker"), (oci, "oci"), (index, "index")):
        done = skopeo.copy(images.write_dir(image, tmp_path / tag), f"{app}:{tag}")
        assert done.returncode == 0, done.stderr
        assert seconds_until(in_catalogue(running, image.digest)) < SECONDS_UNTIL_SHOWN
    sbom = images.artifact(index)
    with RegistryClient(running.registry_address, "ann", token) as client:
        client.push(sbom, "ann/app")
    assert seconds_until(in_catalogue(running, sbom.digest)) < SECONDS_UNTIL_SHOWN

    # The page says what it is, who pushed it, and how to pull it.
    page.goto(f"{running.url}/repositories")
    page.get_by_role("link", name="ann/app", exact=True).click()
    for image, tag in ((docker, "docker"), (oci, "oci"), (index, "index")):
        article = page.get_by_role("article", name=tag, exact=True)
        assert "by ann" in article.inner_text()
        assert "never pulled" in article.inner_text()
        assert image.digest in article.inner_html()
        assert f"docker pull {running.registry_address}/ann/app:{tag}" in article.inner_html()
    assert f"skopeo copy --src-tls-verify=false {app}:docker dir:image" in page.content()
    shown = page.get_by_role("article", name="index", exact=True)
    assert "linux/amd64, linux/arm64/v8" in shown.inner_text()
    assert "1 attachment" in shown.inner_text()
    assert sbom.digest in shown.inner_html()

    # A question about an image is no pull; a pull is.
    with RegistryClient(running.registry_address, "ann", token) as client:
        assert client.head_manifest("ann/app", "docker").status_code == 200
    assert skopeo.copy(f"{app}:oci", f"dir:{tmp_path / 'pulled'}").returncode == 0
    pulled = "SELECT name FROM repositories_tag WHERE pulled_at IS NOT NULL"
    assert seconds_until(lambda: running.rows(pulled) != []) < SECONDS_UNTIL_SHOWN
    time.sleep(0.5)
    assert running.rows(pulled) == [("oci",)]

    # She signs out, and the page of her private repository is nobody's.
    repository_url = page.url
    page.get_by_role("banner").locator("summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto(repository_url)
    assert "/users/sign_in" in page.url

    # The audit trail has all of it.
    recorded = {key for (key,) in running.rows("SELECT key FROM activities_activity")}
    assert {"user.create", "registry.create", "application_token.create", "repository.push"} <= recorded


CAST = ("owen", "connie", "vera", "noah")
SCRIPT = """
from portus.accounts.models import User
from portus.registry.models import Registry
from portus.teams.models import Namespace, Role, Visibility
from portus.teams.namespaces import change_visibility, create_namespace
from portus.teams.operations import add_member, create_team
ann, owen, connie, vera = (User.objects.get(username=name) for name in ("ann", "owen", "connie", "vera"))
team = create_team(name="crew", owner=owen, actor=ann)
add_member(team, connie, Role.CONTRIBUTOR, actor=owen)
add_member(team, vera, Role.VIEWER, actor=owen)
create_namespace(name="crew", team=team, registry=Registry.objects.get(), actor=owen)
change_visibility(Namespace.objects.get(name="owen"), Visibility.PUBLIC, actor=owen)
"""
# With skopeo: push to the team's private namespace, pull from it; pull from somebody's public one, push there.
RIGHTS = [
    ("owen", True, True, True, True),
    ("connie", True, True, True, False),
    ("vera", False, True, True, False),
    ("noah", False, False, True, False),
    (None, False, False, True, False),
]


def test_others_get_what_their_role_gives_them(running, skopeo_for, tmp_path):
    running.bootstrap("ann", PASSWORD)
    for name in CAST:
        administrate(
            running,
            "from portus.accounts.operations import sign_up\n"
            f"assert not sign_up(username={name!r}, email='{name}@test.lan', password={PASSWORD!r}).admin",
        )
    administrate(running, SCRIPT)
    address = running.registry_address
    image = images.write_dir(images.oci_image(), tmp_path / "image")
    private, public = f"docker://{address}/crew/app", f"docker://{address}/owen/app"
    owen = skopeo_for("owen")
    owen.login(address, "owen", PASSWORD)
    for place in (private, public):
        assert owen.copy(image, f"{place}:1").returncode == 0

    for name, push, pull, pull_public, push_public in RIGHTS:
        client = skopeo_for(str(name))
        if name:
            assert client.login(address, name, PASSWORD).returncode == 0
        copy = f"dir:{tmp_path}/of-{name}"
        assert (client.copy(f"{private}:1", f"{copy}-private").returncode == 0) is pull, name
        assert (client.copy(image, f"{private}:by-{name}").returncode == 0) is push, name
        assert (client.copy(f"{public}:1", f"{copy}-public").returncode == 0) is pull_public, name
        assert (client.copy(image, f"{public}:by-{name}").returncode == 0) is push_public, name
        if pull:
            assert json.loads(client.tags(private).stdout)["Tags"]
