"""What the API says of itself: the document is complete, and can be browsed under our content security policy."""

import subprocess
from itertools import chain

import pytest

from portus import VERSION, documentation
from portus.api import api
from portus.documentation import SCHEMAS
from portus.version_api import checked_out

pytestmark = pytest.mark.django_db

PUBLIC_URL = "https://portus.test/prefix"
PATHS = ["/api/openapi.json", "/api/openapi-spec", "/api/openapi-spec.json", "/api/openapi-spec/"]


@pytest.fixture(scope="module")
def document():
    return documentation.document(api, PUBLIC_URL)


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


# The document


@pytest.mark.parametrize("path", PATHS)
def test_everybody_may_read_it(client, path):
    response = client.get(path)

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert response.json()["openapi"] == "3.1.0"
    assert "/api/v1/_ping" in response.json()["paths"]


@pytest.mark.parametrize("path", [*PATHS, "/api/docs", "/api/openapi-spec/teams"])
def test_it_is_only_read(client, path):
    for method in ("post", "put", "patch", "delete"):
        response = getattr(client.__class__(enforce_csrf_checks=True), method)(path)
        assert (response.status_code, response.json()) == (404, {"message": "Not found"})
    assert client.head(path).status_code == 200
    assert client.options(path).status_code == 204


def test_it_says_where_we_are(client, configure):
    configure(public_url=PUBLIC_URL)

    assert client.get("/api/openapi.json").json()["servers"] == [{"url": PUBLIC_URL}]


@pytest.mark.parametrize("path", ["/api/openapi-spec/teams", "/api/openapi-spec/teams.json"])
def test_a_resource_can_be_read_alone(client, path):
    paths = client.get(path).json()["paths"]

    assert set(paths) >= {"/api/v1/teams", "/api/v1/teams/{id}"}
    assert all(path.startswith("/api/v1/teams") for path in paths)


def test_an_unknown_resource_is_400(client):
    response = client.get("/api/openapi-spec/nothing")

    assert (response.status_code, response.json()) == (400, {"message": "There is no resource 'nothing'."})


def test_every_endpoint_is_in_it(document):
    endpoints = [
        operation
        for router in api._get_bound_routers()
        for view in router.path_operations.values()
        for operation in view.operations
    ]

    assert len(list(operations(document))) == len(endpoints) > 40


def test_every_operation_says_what_it_does(document):
    """Without a summary there would be the name of a function, Each Word In Capitals."""
    silent = [
        name
        for name, operation in operations(document)
        if not operation["summary"].strip() or operation["summary"] == operation["summary"].title()
    ]

    assert silent == []
    assert all(operation["tags"] for _, operation in operations(document))


def test_no_two_operations_have_the_same_name(document):
    names = [operation["operationId"] for _, operation in operations(document)]

    assert len(names) == len(set(names))


def test_every_field_says_what_it_is(document):
    parameters = (
        (f"{name} {parameter['name']}", parameter)
        for name, operation in operations(document)
        for parameter in operation["parameters"]
    )
    fields = (
        (f"{schema}.{name}", field)
        for schema, content in document["components"]["schemas"].items()
        for name, field in content.get("properties", {}).items()
    )

    assert [name for name, field in chain(parameters, fields) if not field.get("description")] == []


def test_every_error_has_its_shape(document):
    for name, operation in operations(document):
        errors = {status for status in operation["responses"] if status >= 400}
        assert errors >= {400, 406, 413, 429}, name
        assert ({401, 403} <= errors) is ("security" in operation), name
        assert (404 in errors) is ("{" in name or "requestBody" in operation), name
        assert ({415, 422} <= errors) is (not name.startswith("GET")), name
    shapes = {response["content"]["application/json"]["schema"]["$ref"] for response in
              document["components"]["responses"].values()}  # fmt: skip
    assert shapes == {f"#/components/schemas/{name}" for name in SCHEMAS}


def test_every_reference_leads_somewhere(document):
    def references(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                yield from references(each)

    for reference in set(references(document)):
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_no_parameter_of_an_address_is_null(document):
    for name, operation in operations(document):
        for parameter in operation["parameters"]:
            assert {"type": "null"} not in parameter["schema"].get("anyOf", []), (name, parameter["name"])


@pytest.mark.parametrize(
    ("path", "parameter", "sentence"),
    [
        ("/api/v1/registries/{id}", "id", "Number of the registry."),
        ("/api/v1/teams/{id}/members/{member_id}", "member_id", "Number of the member."),
        ("/api/v1/registry_events/{id}/retry", "id", "Number of the registry event."),
    ],
)
def test_numbers_in_paths_are_explained(document, path, parameter, sentence):
    operation = next(iter(document["paths"][path].values()))

    assert [each["description"] for each in operation["parameters"] if each["name"] == parameter] == [sentence]


# The version


def test_the_version_is_for_who_has_an_account(client, as_user):
    assert client.get("/api/version").status_code == 401
    response = client.get("/api/version", headers=as_user("dave").headers)

    assert response.status_code == 200
    assert list(response.json()) == ["api-versions", "git", "version"]
    assert (response.json()["api-versions"], response.json()["version"]) == (["v1"], VERSION)
    assert client.get("/api/version.json", headers=as_user("dave").headers).json() == response.json()


@pytest.fixture
def checkout(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=x", "-c", "user.email=x@test.lan"]
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "--initial-branch", "v3")
    git("commit", "--allow-empty", "-m", "first")
    return tmp_path, git


def test_in_a_checkout_it_tells_branch_and_commit(checkout):
    folder, git = checkout

    assert checked_out(folder) == {"branch": "v3", "commit": git("rev-parse", "--short=9", "HEAD")}


def test_of_a_tagged_checkout_it_tells_the_tag(checkout):
    folder, git = checkout
    git("tag", "3.0.0")

    assert checked_out(folder) == {"tag": "3.0.0"}


def test_elsewhere_it_tells_nothing(tmp_path):
    assert checked_out(tmp_path) is None
    (tmp_path / ".git").mkdir()
    checked_out.cache_clear()
    assert checked_out(tmp_path) is None
