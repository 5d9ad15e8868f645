"""A catalogue as a small company has it, and a browser that looks at it."""

import hashlib
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from portus.repositories.models import IndexEntry
from portus.teams.models import Visibility

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PLATFORMS = {"linux/amd64": 28_341_220, "linux/arm64/v8": 27_120_984, "linux/arm/v7": 24_554_001}


def digest(number):
    return f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}"


def ago(**span):
    return timezone.now() - timedelta(**span)


@pytest.fixture
def catalogue(cast, make_namespace, make_repository, make_manifest, make_tag):
    """Repositories of a team; `app` has an index with a signature and an SBOM, an image with two tags, leftovers."""
    team = make_namespace("payments", team=cast.team)
    public = make_namespace("base", team=cast.team, visibility=Visibility.PUBLIC)
    shared = make_namespace("tools", team=cast.team, visibility=Visibility.PROTECTED)
    app = make_repository("checkout", namespace=team)
    for number, (name, namespace) in enumerate(
        [("invoice-worker", team), ("ledger", team), ("fraud-detection/model-server", team), ("python", public),
         ("debian", public), ("node", public), ("helm/checkout", team), ("terraform", shared), ("lint", shared)]
    ):  # fmt: skip
        other = make_repository(name, namespace=namespace)
        for minor in range(number + 1):
            make_tag(other, f"1.{minor}.0", author=cast.bob)
        type(other).objects.filter(pk=other.pk).update(updated_at=ago(hours=7 * number, minutes=3))

    make_tag(
        app, "1.9.3", author=cast.alice, pushed_at=ago(days=9), updated_at=ago(days=9),
        manifest=make_manifest(
            app, digest=digest(9), media_type=DOCKER_MANIFEST, size=31_002_771, author=cast.alice,
            author_name="alice", pushed_at=ago(days=9), pulled_at=ago(days=2),
        ),
    )  # fmt: skip
    chart = make_manifest(
        app, digest=digest(7), artifact_type="application/vnd.cncf.helm.config.v1+json", size=12_410, platforms=[],
        author_name="bob", pushed_at=ago(days=4),
    )  # fmt: skip
    make_tag(app, "chart-0.4.1", author=cast.bob, manifest=chart, pushed_at=ago(days=4), updated_at=ago(days=4))
    index = _index(app, cast, make_manifest)
    for name in ("2.1.0", "2.1", "2", "latest"):
        make_tag(app, name, manifest=index, author=cast.bob, pushed_at=ago(hours=3), updated_at=ago(hours=3))
    make_manifest(app, digest=digest(30), size=29_877_100, author_name="bob", pushed_at=ago(days=40))
    return SimpleNamespace(app=app, index=index, public=public, team=team)


def _index(app, cast, make_manifest):
    index = make_manifest(
        app, digest=digest(1), media_type=OCI_INDEX, size=sum(PLATFORMS.values()), platforms=list(PLATFORMS),
        author=cast.bob, author_name="bob", pushed_at=ago(hours=3), pulled_at=ago(minutes=12),
    )  # fmt: skip
    for number, (platform, size) in enumerate(PLATFORMS.items(), start=11):
        child = make_manifest(app, digest=digest(number), size=size, platforms=[platform], author_name="bob")
        IndexEntry.objects.create(
            index=index, digest=child.digest, media_type=OCI_MANIFEST, platform=platform, size=size
        )
    for number, kind, size in (
        (21, "application/vnd.dev.cosign.artifact.sig.v1+json", 724),
        (22, "application/spdx+json", 88_120),
    ):
        make_manifest(
            app, digest=digest(number), artifact_type=kind, subject_digest=index.digest, size=size, platforms=[],
            author_name="bob", pushed_at=ago(hours=3),
        )  # fmt: skip
    return index


@pytest.fixture
def site(live_server, settings, configure):
    """The product on an address of its own, over http."""
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    configure(public_url=live_server.url)
    return live_server.url


@pytest.fixture
def page(page):
    page.set_default_timeout(10_000)
    return page


@pytest.fixture
def sign_in_as(page, site, password):
    def sign_in(person):
        page.goto(f"{site}/users/sign_in")
        page.get_by_label("User name").fill(person.username)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()

    return sign_in
