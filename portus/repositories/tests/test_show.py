"""The page of a repository: who may open it, its images, what hangs on them, and how to pull them."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from portus.registry.models import Registry
from portus.repositories.models import IndexEntry, Tag
from portus.teams.models import Namespace, Visibility

pytestmark = pytest.mark.django_db

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"


@pytest.fixture
def app(cast, make_namespace, make_repository):
    return make_repository("app", namespace=make_namespace("payments", team=cast.team))


@pytest.fixture
def show(cast, client, app):
    """Open the page as Bob, who is a member; return the answer."""
    client.force_login(cast.bob)
    return lambda **query: client.get(f"/repositories/{app.pk}", query)


def images(response):
    assert response.status_code == 200
    return response.context["images"]


def names(response):
    return [[tag.name for tag in image.tags] for image in images(response)]


# Who may open it


@pytest.mark.parametrize(("person", "status"), [("ada", 200), ("carol", 200), ("dave", 404)])
def test_a_private_repository_is_open_to_members_and_administrators(cast, client, app, person, status):
    client.force_login(getattr(cast, person))

    assert client.get(f"/repositories/{app.pk}").status_code == status


def test_to_others_it_looks_like_one_that_is_not_there(cast, client, app):
    """404 and not 403: a 403 would tell that something is there, and names of repositories tell of projects."""
    client.force_login(cast.dave)

    hidden, missing = client.get(f"/repositories/{app.pk}"), client.get("/repositories/999999")

    assert hidden.status_code == missing.status_code == 404
    assert hidden.content == missing.content
    assert "payments" not in hidden.text


@pytest.mark.parametrize("number", ["private", "999999", "9" * 40])
def test_strangers_are_asked_to_sign_in_whether_or_not_it_is_there(client, app, number):
    path = f"/repositories/{app.pk if number == 'private' else number}"

    assert client.get(path)["Location"] == f"/users/sign_in?next={path}"


def test_strangers_may_open_a_public_one_where_they_may_browse(client, app, configure):
    Namespace.objects.filter(pk=app.namespace_id).update(visibility=Visibility.PUBLIC)

    assert client.get(f"/repositories/{app.pk}").status_code == 200
    configure(**{"anonymous_browsing.enabled": False})
    assert client.get(f"/repositories/{app.pk}").status_code == 302


def test_a_protected_one_is_open_to_everybody_with_an_account(cast, client, app):
    Namespace.objects.filter(pk=app.namespace_id).update(visibility=Visibility.PROTECTED)

    assert client.get(f"/repositories/{app.pk}").status_code == 302
    client.force_login(cast.dave)
    assert client.get(f"/repositories/{app.pk}").status_code == 200


# Images


def test_tags_of_one_image_stand_together_the_newest_first(show, app, make_manifest, make_tag):
    now = timezone.now()
    old, new = make_manifest(app), make_manifest(app)
    for name, manifest, hours in (("1.0", old, 9), ("2.0", new, 5), ("stable", old, 3), ("latest", new, 1)):
        make_tag(app, name, manifest=manifest, updated_at=now - timedelta(hours=hours))

    assert names(show()) == [["latest", "2.0"], ["stable", "1.0"]]


def test_it_shows_what_is_known_of_an_image(cast, show, app, make_manifest, make_tag):
    now = timezone.now()
    manifest = make_manifest(
        app, digest="sha256:" + "ab" * 32, size=12_345_678, platforms=["linux/arm64/v8"],
        pulled_at=now - timedelta(minutes=5),
    )  # fmt: skip
    make_tag(app, "1.0", manifest=manifest, author=cast.alice, pushed_at=now - timedelta(hours=2))

    page = show().text

    for words in (
        "12\N{NO-BREAK SPACE}MB",
        "linux/arm64/v8",
        "OCI image",
        "abababababab",
        OCI_MANIFEST,
        "sha256:" + "ab" * 32,
    ):
        assert words in page
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    assert "pushed 2 hours ago by alice" in text
    assert "last pulled 5 minutes ago" in text


def test_it_does_not_make_up_what_is_not_known(show, app, make_manifest, make_tag):
    make_tag(app, "1.0", manifest=make_manifest(app, size=None, platforms=[]), pushed_at=None)

    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", show().text))

    assert "seen just now" in text
    assert " by " not in text.partition("seen just now")[2][:10]
    assert "never pulled" in text


def test_the_author_is_named_after_she_is_gone(cast, show, app, make_tag):
    make_tag(app, "1.0", author=cast.alice)
    Tag.objects.update(author=None)

    assert "by alice" in show().text


@pytest.mark.parametrize(
    "command",
    ["docker pull {host}/payments/app:1.0", "podman pull {host}/payments/app:1.0",
     "skopeo copy docker://{host}/payments/app:1.0 dir:image", "docker pull {host}/payments/app@{digest}"],
)  # fmt: skip
def test_it_has_commands_to_copy_with_the_name_that_clients_use(show, app, make_tag, command):
    Registry.objects.update(external_hostname="images.example.org", use_ssl=True)
    digest = make_tag(app, "1.0").manifest.digest

    text = command.format(host="images.example.org", digest=digest)

    assert f'data-copy-text="{text}"' in show().text


@pytest.mark.parametrize(
    ("artifact_type", "command"),
    [
        ("", "docker pull {name}"),
        ("", "podman pull --tls-verify=false {name}"),
        ("", "skopeo copy --src-tls-verify=false docker://{name} dir:image"),
        ("application/spdx+json", "skopeo copy --src-tls-verify=false docker://{name} dir:artifact"),
    ],
)
def test_without_tls_clients_that_insist_on_it_are_told(show, app, make_manifest, make_tag, artifact_type, command):
    Registry.objects.update(hostname="localhost:5000", use_ssl=False)
    make_tag(app, "1.0", manifest=make_manifest(app, artifact_type=artifact_type))

    assert f'data-copy-text="{command.format(name="localhost:5000/payments/app:1.0")}"' in show().text


def test_a_repository_of_the_global_namespace_is_pulled_by_its_bare_name(cast, client, make_repository, make_tag):
    repository = make_repository("app", namespace=Namespace.objects.get(global_marker=True))
    make_tag(repository, "1.0")
    client.force_login(cast.dave)

    assert "docker pull registry.test:5000/app:1.0" in client.get(f"/repositories/{repository.pk}").text


@pytest.mark.parametrize(
    ("artifact_type", "kind", "command"),
    [
        ("application/vnd.cncf.helm.config.v1+json", "Helm chart",
         "helm pull oci://registry.test:5000/payments/app --version 1.0"),
        ("application/spdx+json", "SBOM (SPDX)", "oras pull registry.test:5000/payments/app:1.0"),
        ("application/x-my-own", "Artifact (application/x-my-own)", "oras pull registry.test:5000/payments/app:1.0"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_not_pulled_as_one(show, app, make_manifest, make_tag, artifact_type, kind, command):
    make_tag(app, "1.0", manifest=make_manifest(app, artifact_type=artifact_type, platforms=[]))

    page = show().text

    assert kind in page
    assert command in page
    assert "docker pull" not in page


def test_what_was_pushed_is_shown_as_text(show, app, make_manifest, make_tag):
    evil = "<script>alert(1)</script>"
    make_tag(app, "1.0", author_name=evil, manifest=make_manifest(app, artifact_type=evil, platforms=[evil]))

    assert "<script>alert" not in show().text


# Indexes


@pytest.fixture
def index(app, make_manifest, make_tag):
    """An index of two images and an attestation, tagged 1.0; its second image was never seen."""
    manifest = make_manifest(app, media_type=OCI_INDEX, platforms=["linux/amd64", "linux/arm64"])
    child = make_manifest(app, platforms=["linux/amd64"])
    for digest, platform, size in (
        (child.digest, "linux/amd64", 111_000_000), ("sha256:" + "cd" * 32, "linux/arm64", 222_000_000),
        ("sha256:" + "ef" * 32, "unknown/unknown", None),
    ):  # fmt: skip
        IndexEntry.objects.create(index=manifest, digest=digest, platform=platform, size=size)
    make_tag(app, "1.0", manifest=manifest)
    return manifest


def test_an_index_unfolds_into_its_platforms(show, index):
    response = show()

    (image,) = images(response)
    assert [(part.platform, part.entry.size) for part in image.parts] == [
        ("linux/amd64", 111_000_000), ("linux/arm64", 222_000_000), ("attestation or other", None),
    ]  # fmt: skip
    assert "OCI image index" in response.text
    assert 'data-copy-text="sha256:' + "cd" * 32 in response.text


def test_its_children_are_not_called_untagged(show, index):
    assert images(show(show="untagged")) == []


# Attachments


def test_what_names_an_image_as_its_subject_hangs_on_it(show, app, index, make_manifest):
    make_manifest(app, artifact_type=SIGNATURE, subject_digest=index.digest, platforms=[])
    make_manifest(app, artifact_type="application/spdx+json", subject_digest=index.digest, platforms=[])

    response = show()

    (image,) = images(response)
    assert [attachment.kind for attachment in image.attachments] == ["Signature (cosign)", "SBOM (SPDX)"]
    assert images(show(show="untagged")) == []
    assert "2 attachments" in response.text


def test_it_may_hang_on_one_platform_of_an_index(show, app, index, make_manifest):
    make_manifest(app, artifact_type=SIGNATURE, subject_digest=index.entries.first().digest, platforms=[])

    (image,) = images(show())
    assert [len(part.attachments) for part in image.parts] == [1, 0, 0]
    assert image.attachments == []


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [("sig", "Signature (cosign)"), ("att", "Attestation (cosign)"), ("sbom", "SBOM (cosign)")],
)
def test_what_cosign_tags_with_a_digest_hangs_on_the_image(show, app, index, make_tag, suffix, kind):
    make_tag(app, f"{index.digest.replace(':', '-')}.{suffix}")

    response = show()

    (image,) = images(response)
    assert [attachment.kind for attachment in image.attachments] == [kind]
    assert [tag.name for tag in image.tags] == ["1.0"]
    assert images(show(show="untagged")) == []


def test_one_that_does_both_is_shown_once(show, app, index, make_manifest, make_tag):
    manifest = make_manifest(app, artifact_type=SIGNATURE, subject_digest=index.digest, platforms=[])
    make_tag(app, f"{index.digest.replace(':', '-')}.sig", manifest=manifest)

    (image,) = images(show())
    assert len(image.attachments) == 1


def test_other_repositories_lend_nothing(show, app, index, cast, make_namespace, make_repository, make_manifest):
    other = make_repository("other", namespace=make_namespace(team=cast.team))
    make_manifest(other, artifact_type=SIGNATURE, subject_digest=index.digest, platforms=[])

    (image,) = images(show())
    assert image.attachments == []


# Untagged


def test_images_without_a_tag_can_be_reached(show, app, make_manifest, make_tag):
    make_tag(app, "1.0")
    now = timezone.now()
    older = make_manifest(app, pushed_at=now - timedelta(days=2))
    newer = make_manifest(app, pushed_at=now - timedelta(days=1))

    response = show(show="untagged")

    assert [image.manifest for image in images(response)] == [newer, older]
    assert f"docker pull registry.test:5000/payments/app@{newer.digest}" in response.text
    assert 'href="/repositories/' in response.text


def test_what_hung_on_an_image_that_is_gone_can_be_reached(show, app, make_manifest):
    manifest = make_manifest(app, artifact_type=SIGNATURE, subject_digest="sha256:" + "00" * 32)

    assert [image.manifest for image in images(show(show="untagged"))] == [manifest]


def test_a_repository_without_tags_leads_there(show, app, make_manifest):
    make_manifest(app)

    assert "Nothing in this repository has a tag" in show().text


# Finding and paging


def test_it_finds_tags_by_a_part_of_their_name(show, app, make_manifest, make_tag):
    manifest = make_manifest(app)
    for name in ("1.0-alpine", "1.0", "latest"):
        make_tag(app, name, manifest=manifest)
    make_tag(app, "2.0")

    assert names(show(q="alpine")) == [["1.0-alpine"]]
    assert "No tag has" in show(q="<b>nothing").text


@pytest.mark.parametrize("query", ["%", "_", "\N{GRINNING FACE}", "x" * 300, "'; --"])
def test_it_survives_odd_names(show, app, make_tag, query):
    make_tag(app, "1.0")

    assert show(q=query).status_code == 200


@pytest.mark.parametrize("kind", ["tagged", "untagged"])
def test_the_pages_together_show_each_image_once_in_order(show, app, configure, make_manifest, make_tag, kind):
    configure(**{"pagination.per_page": 2})
    now, made = timezone.now(), []
    for number in range(7):  # each time twice
        made.append(make_manifest(app, pushed_at=now - timedelta(minutes=number // 2)))
        for name in ("a", "b") if kind == "tagged" else ():
            make_tag(app, f"{name}{number}", manifest=made[-1], updated_at=now - timedelta(minutes=number // 2))

    seen, after = [], ""
    while after is not None:
        response = show(after=after, **({"show": "untagged"} if kind == "untagged" else {}))
        seen += [image.manifest for image in images(response)]
        after = response.context["page"].next

    assert seen == [made[number] for number in (1, 0, 3, 2, 5, 4, 6)]


def test_of_very_many_names_it_shows_the_newest_and_counts_the_rest(show, app, make_manifest, make_tag):
    manifest, now = make_manifest(app), timezone.now()
    for number in range(25):
        make_tag(app, f"v{number}", manifest=manifest, updated_at=now - timedelta(minutes=number))

    response = show()

    (image,) = images(response)
    assert [tag.name for tag in image.tags] == [f"v{number}" for number in range(20)]
    assert "and 5 more tags" in response.text


def test_an_index_of_many_parts_shows_some_and_counts_the_rest(show, app, make_manifest, make_tag):
    """A registry takes an index with thousands; each has its own bound on the page."""
    for name in ("many", "few"):
        manifest = make_manifest(app, media_type=OCI_INDEX, platforms=[f"linux/{number}" for number in range(60)])
        make_tag(app, name, manifest=manifest)
        IndexEntry.objects.bulk_create(
            IndexEntry(index=manifest, digest=f"sha256:{manifest.pk:032}{number:032}", platform=f"linux/{number}")
            for number in range(53 if name == "many" else 2)
        )

    response = show()

    parts = {image.newest.name: [part.platform for part in image.parts] for image in images(response)}
    assert parts == {"many": [f"linux/{number}" for number in range(50)], "few": ["linux/0", "linux/1"]}
    assert response.text.count('<div class="part">') == 52
    assert response.text.count("and 3 more parts") == response.text.count("more part") == 1
    assert "linux/6, linux/7, …</span>" in response.text


@pytest.mark.parametrize("query", [{}, {"show": "untagged"}])
def test_it_asks_the_same_number_of_queries_for_one_image_and_for_many(
    show, app, configure, make_manifest, make_tag, django_assert_num_queries, query
):
    configure(**{"pagination.per_page": 100})

    def add():
        manifest = make_manifest(app, media_type=OCI_INDEX)
        IndexEntry.objects.create(index=manifest, digest=make_manifest(app).digest, platform="linux/amd64")
        make_manifest(app, artifact_type=SIGNATURE, subject_digest=manifest.digest)
        make_manifest(app)
        make_tag(app, f"{manifest.pk}", manifest=manifest)
        make_tag(app, f"{manifest.digest.replace(':', '-')}.sig")

    add()
    # session, user, repository, standing, page, counts, names, children, two kinds of attachments
    count = 8 if query else 10
    with django_assert_num_queries(count):
        show(**query)
    for _ in range(20):
        add()
    with django_assert_num_queries(count):
        show(**query)
