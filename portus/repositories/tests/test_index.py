"""The list of repositories: who sees which, finding, sorting, paging, and what an empty one says."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from portus.registry.models import Registry
from portus.repositories.models import Repository
from portus.teams.models import Namespace, Visibility

pytestmark = pytest.mark.django_db

PATH = "/repositories"


@pytest.fixture
def repositories(cast, make_namespace, make_repository):
    """One repository for each visibility and kind of namespace, named after it."""
    team = {
        name: make_repository(name, namespace=make_namespace(f"{name}-space", team=cast.team, visibility=visibility))
        for name, visibility in (
            ("private", Visibility.PRIVATE), ("protected", Visibility.PROTECTED), ("public", Visibility.PUBLIC),
        )
    }  # fmt: skip
    personal = Namespace.objects.get(personal_owner=cast.alice)
    discovered = make_namespace("discovered-space", team=None)
    everywhere = Namespace.objects.get(global_marker=True)
    return {
        **team,
        "personal": make_repository("personal", namespace=personal),
        "discovered": make_repository("discovered", namespace=discovered),
        "global": make_repository("global", namespace=everywhere),
    }


def listed(response):
    assert response.status_code == 200
    return [repository.name for repository in response.context["page"].rows]


@pytest.mark.parametrize(
    ("person", "names"),
    [
        ("ada", {"private", "protected", "public", "personal", "discovered", "global"}),
        ("alice", {"private", "protected", "public", "personal", "global"}),
        ("bob", {"private", "protected", "public", "global"}),
        ("carol", {"private", "protected", "public", "global"}),
        ("dave", {"protected", "public", "global"}),
    ],
)
def test_each_sees_what_the_policy_shows_her_and_may_open_it(cast, client, repositories, person, names):
    client.force_login(getattr(cast, person))

    response = client.get(PATH)

    assert set(listed(response)) == names
    for name, repository in repositories.items():
        assert (f'href="{PATH}/{repository.pk}"' in response.text) == (name in names)
        assert client.get(f"{PATH}/{repository.pk}").status_code == (200 if name in names else 404)


def test_strangers_are_asked_to_sign_in(client, repositories):
    assert client.get(f"{PATH}?q=private")["Location"] == f"/users/sign_in?next={PATH}%3Fq%3Dprivate"


def test_htmx_is_told_to_load_the_whole_page_when_the_session_has_ended(client, repositories):
    response = client.get(PATH, headers={"HX-Request": "true"})

    assert response["HX-Refresh"] == "true"


def test_strangers_explore_what_is_public(client, repositories):
    response = client.get("/explore")

    assert set(listed(response)) == {"public", "global"}
    assert "Public repositories" in response.text


def test_exploring_answers_as_if_it_did_not_exist_where_it_is_switched_off(client, repositories, configure):
    configure(**{"anonymous_browsing.enabled": False})

    assert client.get("/explore").status_code == 404


def test_exploring_leads_others_to_their_own_list(cast, client, repositories):
    client.force_login(cast.dave)

    assert client.get("/explore?q=x")["Location"] == f"{PATH}?q=x"
    assert client.get("/explore")["Location"] == PATH


def test_exploring_understands_the_search_of_portus_2(client, repositories):
    assert listed(client.get("/explore?explore[search]=publ")) == ["public"]


# Finding


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("private", ["private"]),
        ("PRIV", ["private"]),
        ("-space", ["private", "protected", "public"]),
        ("prot -space", ["protected"]),
        ("protected-space/protected", ["protected"]),
        ("public:1.0", ["public"]),
        ("nothing-like-it", []),
        ("p_blic", []),  # a wildcard of the database is a letter like any other
        ("%", []),
        ("portus_global", []),  # the global namespace is shown by another name than it has
        ("\N{GRINNING FACE}", []),
    ],
)
def test_it_finds_by_words_in_names(cast, client, repositories, query, names):
    client.force_login(cast.bob)

    assert listed(client.get(PATH, {"q": query})) == names


def test_it_says_that_nothing_was_found(cast, client, repositories):
    client.force_login(cast.dave)

    page = client.get(PATH, {"q": "<b>private"}).text

    assert "Nothing found" in page
    assert "&lt;b&gt;private" in page
    assert "<b>private" not in page
    assert "docker login" not in page


def test_htmx_gets_the_list_alone(cast, client, repositories):
    client.force_login(cast.bob)

    response = client.get(PATH, {"q": "public"}, headers={"HX-Request": "true"})

    assert response.text.lstrip().startswith('<div id="list">')
    assert "<html" not in response.text
    assert "HX-Request" in response["Vary"]
    assert response["Cache-Control"] == "no-store"
    assert '<p class="visually-hidden" role="status">1 repository</p>' in response.text


# Sorting and paging


@pytest.fixture
def many(cast, make_namespace, make_repository, configure):
    """Twelve repositories, three to a page; two have the same name, two the same time."""
    configure(**{"pagination.per_page": 3})
    spaces = [make_namespace("one", team=cast.team), make_namespace("two", team=cast.team)]
    now = timezone.now()
    for number in range(12):
        name = "same" if number in {4, 5} else f"app-{number * 7 % 12:02d}"
        updated = now - timedelta(hours=5 if number in {7, 8} else number)
        make_repository(name, namespace=spaces[number % 2], updated_at=updated)


def walk(client, query):
    """Follow the links from page to page; return what each showed, and how many pages there were."""
    names, pages, path = [], 0, f"{PATH}?{query}"
    while path:
        response = client.get(path)
        names += [str(repository.pk) for repository in response.context["page"].rows]
        pages += 1
        link = re.search(r'rel="next" href="([^"]+)"', response.text)
        path = f"{PATH}{link[1].replace('&amp;', '&')}" if link else None
    return names, pages


@pytest.mark.parametrize(
    ("sort", "order"),
    [("", ("name", "pk")), ("name", ("name", "pk")), ("-name", ("-name", "-pk")), ("updated", ("updated_at", "pk")),
     ("-updated", ("-updated_at", "-pk")), ("nonsense", ("name", "pk"))],
)  # fmt: skip
def test_the_pages_together_show_each_once_in_order(cast, client, many, sort, order):
    client.force_login(cast.bob)

    names, pages = walk(client, f"sort={sort}")

    assert names == [str(pk) for pk in Repository.objects.order_by(*order).values_list("pk", flat=True)]
    assert pages == 4


def test_the_way_back_shows_the_same_pages(cast, client, many):
    client.force_login(cast.bob)
    first = client.get(f"{PATH}?sort=-updated")
    second = client.get(f"{PATH}?sort=-updated&after={first.context['page'].next}".replace("+", "%2B"))

    back = client.get(f"{PATH}?sort=-updated&before={second.context['page'].previous}".replace("+", "%2B"))

    assert listed(back) == listed(first)
    assert back.context["page"].previous is None


def test_finding_and_sorting_survive_the_next_page(cast, client, many):
    client.force_login(cast.bob)

    page = client.get(f"{PATH}?q=app&sort=-name").text

    link = re.search(r'rel="next" href="([^"]+)"', page)[1]
    assert "q=app" in link
    assert "sort=-name" in link


def test_another_order_begins_at_the_first_page(cast, client, many):
    client.force_login(cast.bob)
    after = client.get(PATH).context["page"].next

    page = client.get(PATH, {"after": after}).text

    assert '<a href="?sort=-updated">Updated' in page


@pytest.mark.parametrize(
    "key",
    ["x", "~", "a~b", "a~1e5", "~5", "a~" + "9" * 30, "2026-01-01~1", "0001-01-01T00:00:00+14:00~1",
     "9999-12-31T23:59:59-14:00~1", "\N{GRINNING FACE}~1", "x" * 5000, "a~-1", "a~\N{ARABIC-INDIC DIGIT FIVE}"],
)  # fmt: skip
@pytest.mark.parametrize("sort", ["name", "-updated"])
@pytest.mark.parametrize("way", ["after", "before"])
def test_a_key_that_is_none_of_ours_does_no_harm(cast, client, many, sort, way, key):
    client.force_login(cast.bob)

    assert client.get(PATH, {"sort": sort, way: key}).status_code == 200


def test_it_tells_how_many_there_are(cast, client, many):
    client.force_login(cast.bob)

    assert "12 repositories" in client.get(PATH).text


def test_it_asks_the_same_number_of_queries_for_one_row_and_for_many(
    cast, client, make_namespace, make_repository, django_assert_num_queries, configure
):
    configure(**{"pagination.per_page": 100})
    client.force_login(cast.bob)
    make_repository("first", namespace=make_namespace(team=cast.team))
    with django_assert_num_queries(5):  # session, user, registries, rows, how many
        client.get(PATH)

    for number in range(40):
        make_repository(f"more-{number}", namespace=make_namespace(team=cast.team))

    with django_assert_num_queries(5):
        client.get(PATH)


# What it shows of each


def test_it_shows_namespace_tags_and_time(cast, client, make_namespace, make_repository, make_tag):
    repository = make_repository("app", namespace=make_namespace("payments", team=cast.team))
    make_tag(repository, "1")
    make_tag(repository, "2")
    make_tag(repository, f"sha256-{'a' * 64}.sig")
    client.force_login(cast.bob)

    page = client.get(PATH).text

    assert "payments" in page
    assert '<td class="table-number">2</td>' in page
    assert "just now</time>" in page


def test_it_names_each_as_clients_type_it(cast, client, repositories):
    client.force_login(cast.alice)

    links = re.findall(rf'href="{PATH}/\d+">([^<]+)</a>', client.get(PATH).text)

    assert links == [
        "global", "alice/personal", "private-space/private", "protected-space/protected", "public-space/public"
    ]  # fmt: skip


def test_the_global_namespace_has_the_name_of_its_registry(cast, client, repositories):
    client.force_login(cast.dave)

    page = client.get(PATH, {"q": "global"}).text

    assert "registry.test:5000" in page
    assert "portus_global" not in page


def test_with_several_registries_it_says_which(cast, client, repositories, make_registry):
    client.force_login(cast.bob)
    assert "registry.test:5000</span>" not in client.get(PATH, {"q": "private"}).text

    make_registry("second", "second.test:5000")

    assert "registry.test:5000</span>" in client.get(PATH, {"q": "private"}).text


# Nothing to show


def test_a_newcomer_is_told_how_to_push_her_first_image(cast, client):
    Registry.objects.update(external_hostname="images.example.org")
    client.force_login(cast.dave)

    page = client.get(PATH).text

    assert re.findall('data-copy-text="([^"]+)"', page) == [
        "docker login images.example.org",
        "docker pull hello-world",
        "docker tag hello-world images.example.org/dave/hello-world:1.0",
        "docker push images.example.org/dave/hello-world:1.0",
    ]


@pytest.mark.parametrize(("policy", "pushes"), [("allow-personal", True), ("admin-only", False)])
def test_she_is_told_to_push_only_where_she_may(cast, client, configure, policy, pushes):
    configure(**{"user_permission.push_images.policy": policy})
    client.force_login(cast.dave)

    page = client.get(PATH).text

    assert ("docker push" in page) is pushes
    assert ("Ask an administrator" in page) is not pushes


def test_strangers_are_not_told_to_push(client, registry):
    page = client.get("/explore").text

    assert "No public repositories" in page
    assert "docker" not in page


@pytest.mark.parametrize(("admin", "words"), [(True, "portus registry add"), (False, "An administrator has to add it")])
def test_without_a_registry_it_says_who_has_to_do_what(client, make_user, admin, words):
    client.force_login(make_user("first", admin=admin))

    page = client.get(PATH).text

    assert "No registry yet" in page
    assert words in page
    assert "docker" not in page
    assert ("portus registry add" in page) is admin
