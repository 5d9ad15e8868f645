"""Registries, their events and their health over the API: refusals first, then what Portus 2.4's clients expect."""

import threading
import time
from urllib.parse import urlsplit

import pytest
from django.db import connections
from django.db.utils import ConnectionHandler

from portus.activities.models import Activity
from portus.registry import status
from portus.registry.models import Registry
from portus.registry.operations import secret_digest
from portus.testing import REGISTRY_HOST
from portus.tests.servers.ports import free_port

pytestmark = pytest.mark.django_db

SECRET = "a-secret-of-tests-long-enough"
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="http://portus.test/v2/token",service="registry"'}


@pytest.fixture
def there(serve):
    """The address of something that answers as a registry does."""
    return serve((401, CHALLENGE, b"")).address


def refusal(address):
    return f"The registry {address} refuses the connection: is it running, and is the port right?"


def new(address, **fields):
    return {"registry": {"name": "other", "hostname": address, "use_ssl": False, **fields}}


# Who may: administrators, and the refusal comes before parameters are looked at

ENDPOINTS = [
    ("get", "/registries", None),
    ("post", "/registries", {}),
    ("get", "/registries/validate", None),
    ("get", "/registries/1", None),
    ("put", "/registries/1", {}),
    ("get", "/registry_events?state=x", None),
    ("post", "/registry_events/1/retry", {}),
]


@pytest.mark.parametrize(("method", "path", "data"), ENDPOINTS)
def test_all_of_it_is_for_administrators(client, as_user, method, path, data):
    assert getattr(client, method)(f"/api/v1{path}").status_code == 401
    for who in ("alice", "bob", "carol", "dave"):
        assert getattr(as_user(who), method)(path, data).status_code == 403
    assert getattr(as_user("ada"), method)(path, data).status_code in {200, 400, 404}


# Registries


def test_what_a_registry_looks_like(as_user, registry):
    body = as_user("ada").get("/registries").json()

    assert [list(each) for each in body] == [
        ["id", "name", "hostname", "external_hostname", "use_ssl", "created_at", "updated_at"]
    ]
    assert body == [as_user("ada").get(f"/registries/{registry.pk}").json()]
    assert {name: body[0][name] for name in ("name", "hostname", "external_hostname", "use_ssl")} == {
        "name": "registry", "hostname": REGISTRY_HOST, "external_hostname": None, "use_ssl": False,
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/registries/999", "/registries/x", "/registries/1/x", f"/registries/{2**70}"])
def test_what_is_not_there_is_404(as_user, path):
    for response in (as_user("ada").get(path), as_user("ada").put(path, {"registry": {}})):
        assert (response.status_code, response.json()) == (404, {"message": "Not found"})


def test_a_list_takes_the_same_queries_however_long_it_is(as_user, make_registry, django_assert_max_num_queries):
    asker = as_user("ada")
    asker.get("/registries")  # notes that the token was used
    for number in range(5):
        make_registry(f"r{number}", f"r{number}.test")

    with django_assert_max_num_queries(5):
        assert len(asker.get("/registries").json()) == 6


MALFORMED = [
    ({}, {f'["registry{part}"]': ["is missing"] for part in ("", "[name]", "[hostname]", "[use_ssl]")}),
    (new("x.test", use_ssl="maybe"), {'["registry[use_ssl]"]': ["is invalid"]}),
    (new({"a": 1}), {'["registry[hostname]"]': ["is invalid"]}),
    ({"registry": 1}, {'["registry"]': ["is invalid"]}),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "message"), MALFORMED)
def test_what_has_the_wrong_shape_is_400(as_user, sent, message):
    response = as_user("ada").post("/registries", sent)

    assert (response.status_code, response.json()["message"]) == (400, message)


def test_malformed_json_is_400(as_user):
    response = as_user("ada").post("/registries", "{")

    assert response.status_code == 400
    assert response.json()["message"].startswith("There was a problem in the JSON you submitted")


IMPOSSIBLE = [
    ({"name": ""}, {"name": ["can't be blank"]}),
    ({"name": None}, {"name": ["can't be blank"]}),
    ({"name": "registry"}, {"name": ["has already been taken"]}),
    ({"hostname": REGISTRY_HOST}, {"hostname": ["has already been taken"]}),
    ({"hostname": "http://x.test"}, {"hostname": ["is invalid"]}),
    ({"use_ssl": ""}, {"use_ssl": ["is not included in the list"]}),
    ({"use_ssl": None}, {"use_ssl": ["is not included in the list"]}),
    ({"external_hostname": "a b"}, {"external_hostname": ["is invalid"]}),
    ({"notification_secret": "short"}, {"notification_secret": [
        "A secret of less than 16 characters can be guessed."]}),
    ({"notification_secret": "ä" * 20}, {"notification_secret": ["is invalid"]}),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), IMPOSSIBLE)
def test_a_registry_that_cannot_be(as_user, there, fields, message):
    response = as_user("ada").post("/registries", new(there, **fields))

    assert (response.status_code, response.json()) == (422, {"message": message})
    assert Registry.objects.count() == 1


def test_a_registry_that_cannot_be_reached(as_user):
    address = f"127.0.0.1:{free_port()}"

    response = as_user("ada").post("/registries", new(address))

    assert (response.status_code, response.json()) == (422, {"message": {"hostname": [refusal(address)]}})
    assert as_user("ada").post("/registries", {**new(address), "force": True}).status_code == 201


def test_what_answers_but_is_no_registry(as_user, serve):
    address = serve((200, {}, b"hello")).address

    response = as_user("ada").post("/registries", new(address))

    assert response.json() == {
        "message": {"hostname": [f"http://{address}/v2/ answers, but is no registry: mend the host name."]}
    }


def test_a_registry_is_created(as_user, there):
    """Beside the one that is there: we allow several, so 2.4's rule `uniqueness` (one registry) has no place here."""
    response = as_user("ada").post(
        "/registries", new(there, external_hostname="outside.test", notification_secret=SECRET)
    )

    assert response.status_code == 201
    created = Registry.objects.get(name="other")
    assert response.json() == as_user("ada").get(f"/registries/{created.pk}").json()
    assert (created.external_hostname, created.notification_secret_digest) == ("outside.test", secret_digest(SECRET))
    assert SECRET not in response.text
    assert secret_digest(SECRET) not in response.text
    assert created.namespaces.global_ones().count() == 1
    assert Activity.objects.get(key="registry.create", subject_id=created.pk).actor.username == "ada"


@pytest.mark.parametrize("spelling", ["true", "T", "yes", "on", "1", True, 1])
def test_truth_has_many_spellings(as_user, spelling):
    response = as_user("ada").post("/registries", {**new("x.test", use_ssl=spelling), "force": spelling})

    assert (response.status_code, response.json()["use_ssl"]) == (201, True)


def test_a_form_does_as_well(client, as_user, there):
    form = {"registry[name]": "other", "registry[hostname]": there, "registry[use_ssl]": "no"}

    response = client.post("/api/v1/registries", form, headers=as_user("ada").headers)

    assert response.status_code == 201


def test_a_registry_is_changed(as_user, registry, there):
    path = f"/registries/{registry.pk}"

    changes = {"name": "new", "hostname": there, "external_hostname": "out.test", "notification_secret": SECRET}

    response = as_user("ada").put(path, {"registry": changes})

    assert response.status_code == 200
    stored = Registry.objects.get(pk=registry.pk)
    assert (stored.name, stored.hostname, stored.external_hostname) == ("new", there, "out.test")
    assert stored.notification_secret_digest == secret_digest(SECRET)
    assert response.json() == as_user("ada").get(path).json()
    assert SECRET not in response.text
    assert set(Activity.objects.filter(actor_name="ada").values_list("key", flat=True)) >= {
        "registry.change_name", "registry.change_hostname", "registry.change_secret",
    }  # fmt: skip


def test_the_external_name_can_be_taken_away(as_user, registry, there):
    path = f"/registries/{registry.pk}"
    as_user("ada").put(path, {"registry": {"external_hostname": "out.test", "hostname": there}})

    for nothing in ("", None):
        response = as_user("ada").put(path, {"registry": {"external_hostname": nothing}})
        assert (response.status_code, response.json()["external_hostname"]) == (200, None)


@pytest.mark.parametrize(("force", "status"), [(False, 422), (True, 200)])
def test_whether_it_can_be_reached_is_asked_though_nothing_changes(as_user, registry, force, status):
    address = f"127.0.0.1:{free_port()}"
    Registry.objects.update(hostname=address)

    response = as_user("ada").put(f"/registries/{registry.pk}", {"registry": {}, "force": force})

    assert response.status_code == status
    if status == 422:
        assert response.json() == {"message": {"hostname": [refusal(address)]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "other"}, {"name": ["has already been taken"]}),
        ({"name": ""}, {"name": ["can't be blank"]}),
        ({"hostname": "other.test"}, {"hostname": ["has already been taken"]}),
        ({"use_ssl": ""}, {"use_ssl": ["is not included in the list"]}),
    ],
)
def test_a_change_that_cannot_be(as_user, registry, make_registry, changes, message):
    make_registry("other", "other.test")

    response = as_user("ada").put(f"/registries/{registry.pk}", {"registry": changes})

    assert (response.status_code, response.json()) == (422, {"message": message})


def test_the_group_must_be_there(as_user, registry):
    response = as_user("ada").put(f"/registries/{registry.pk}", {})

    assert (response.status_code, response.json()["message"]) == (400, {'["registry"]': ["is missing"]})


def test_the_host_name_stays_while_there_are_repositories(as_user, registry, make_repository, there):
    """The same value is no change. In Portus 2.4 sending it was refused, too."""
    Registry.objects.update(hostname=there)
    make_repository(namespace=registry.namespaces.first())
    path = f"/registries/{registry.pk}"

    refused = as_user("ada").put(path, {"registry": {"hostname": "new.test"}})
    kept = as_user("ada").put(path, {"registry": {"name": "new", "hostname": there}})

    assert (refused.status_code, refused.json()) == (
        422, {"message": {"hostname": ["Registry is not empty, cannot change hostname"]}},
    )  # fmt: skip
    assert (kept.status_code, kept.json()["name"]) == (200, "new")


# Whether a registry could be registered


def validated(as_user, query):
    response = as_user("ada").get(f"/registries/validate?{query}")
    assert response.status_code == 200
    assert list(response.json()) == ["messages", "valid"]
    return response.json()


def test_a_registry_that_could_be(as_user, there):
    assert validated(as_user, f"name=x&hostname={there}&use_ssl=false") == {"messages": {}, "valid": True}
    assert Registry.objects.count() == 1


def test_one_that_could_not(as_user, there):
    nowhere = f"127.0.0.1:{free_port()}"

    assert validated(as_user, f"name=x&hostname={nowhere}&use_ssl=false") == {
        "messages": {"hostname": [refusal(nowhere)]}, "valid": False,
    }  # fmt: skip
    assert validated(as_user, f"name=registry&hostname={there}&use_ssl=0") == {
        "messages": {"name": ["has already been taken"]}, "valid": False,
    }  # fmt: skip


def test_none_of_its_parameters_is_required(as_user):
    assert validated(as_user, "") == {
        "messages": {
            "name": ["can't be blank"], "hostname": ["can't be blank"], "use_ssl": ["is not included in the list"],
        },
        "valid": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("only", "fields"),
    [
        ("only[]=name", {"name"}),
        ("only=name", {"name"}),
        ("only[]=name&only[]=use_ssl", {"name", "use_ssl"}),
        ("only=name&only=use_ssl", {"name", "use_ssl"}),
        ("only[]=external_hostname", set()),
        ("only[]=nonsense", set()),
    ],
)
def test_it_can_look_at_some_fields_only(as_user, only, fields):
    found = validated(as_user, only)

    assert set(found["messages"]) == fields
    assert found["valid"] is not bool(fields)


@pytest.mark.parametrize(("only", "asked"), [("", 1), ("only[]=hostname", 1), ("only[]=name", 0)])
def test_the_registry_is_asked_when_it_matters(as_user, serve, only, asked):
    server = serve((401, CHALLENGE, b""))

    assert validated(as_user, f"name=x&hostname={server.address}&use_ssl=false&{only}")["valid"]
    assert len(server.asked) == asked


def test_use_ssl_is_a_truth_value(as_user):
    response = as_user("ada").get("/registries/validate?use_ssl=maybe")

    assert (response.status_code, response.json()["message"]) == (400, {'["use_ssl"]': ["is invalid"]})


# Health


def health_of(client):
    response = client.get("/api/v1/health")
    assert response["Content-Type"] == "application/json"
    return response.status_code, response.json()


UP_TO_DATE = {"msg": "database is up-to-date", "success": True}
REACHABLE = {"msg": "registry is reachable", "success": True}


def test_without_a_registry_it_is_503(client):
    assert health_of(client) == (
        503, {"database": UP_TO_DATE, "registry": {"msg": "no registry configured", "success": False}},
    )  # fmt: skip


def test_all_is_well(client, make_registry, there):
    make_registry("ours", there)

    assert health_of(client) == (200, {"database": UP_TO_DATE, "registry": REACHABLE})


def test_every_registry_is_looked_at(client, make_registry, there, serve):
    nowhere = f"127.0.0.1:{free_port()}"
    make_registry("ours", there)
    make_registry("away", nowhere)
    make_registry("website", serve((200, {}, b"")).address)

    code, body = health_of(client)

    assert code == 503
    assert list(body) == ["database", "registry", "registry away", "registry website"]
    assert body["registry"] == REACHABLE
    assert body["registry away"] == {"msg": refusal(nowhere), "success": False}
    assert "is no registry" in body["registry website"]["msg"]


def test_it_is_open_to_all_and_looks_once_in_a_while(client, make_registry, serve):
    server = serve((401, CHALLENGE, b""))
    make_registry("ours", server.address)

    for _ in range(20):
        assert health_of(client)[0] == 200
    assert len(server.asked) == 1

    status.memory._at -= status.FRESH_SECONDS + 0.1
    health_of(client)
    assert len(server.asked) == 2


@pytest.mark.parametrize("quiet", [1, 10])
def test_nobody_waits_longer_than_some_seconds(client, make_registry, serve, monkeypatch, quiet):
    monkeypatch.setattr(status, "PATIENCE_SECONDS", 0.5)
    done = threading.Event()
    silent = serve(lambda _: done.wait(5) and (401, CHALLENGE, b""))
    for number in range(quiet):
        make_registry(f"r{number}", silent.address.replace("127.0.0.1", f"127.0.0.{number + 1}"))
    started = time.monotonic()

    code, body = health_of(client)

    assert time.monotonic() - started < 3
    assert code == 503
    assert len(body) == quiet + 1
    assert "time" in body["registry"]["msg"]
    done.set()


def look_and_leave():
    status.memory.components()
    connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_while_one_looks_the_others_are_told_what_was_found_last(client, make_registry, serve):
    looking, go_on = threading.Event(), threading.Event()
    go_on.set()

    def answer(path):
        looking.set()
        go_on.wait(5)
        return 401, CHALLENGE, b""

    server = serve(answer)
    make_registry("ours", server.address)
    assert health_of(client)[0] == 200
    status.memory._at -= status.FRESH_SECONDS + 0.1
    go_on.clear()
    looking.clear()
    slow = threading.Thread(target=look_and_leave)
    slow.start()
    assert looking.wait(5)

    assert health_of(client)[0] == 200
    assert len(server.asked) == 2

    go_on.set()
    slow.join()


# The database, by what its own server says


def another(engine, **fields):
    """A connection to another database than that of the run."""
    return ConnectionHandler({"default": {"ENGINE": f"django.db.backends.{engine}", **fields}})["default"]


def sqlite(path):
    return another("sqlite3", NAME=path)


def on_server(url, name):
    parts = urlsplit(url)
    engine = "postgresql" if parts.scheme.startswith("postgres") else "mysql"
    fields = {"HOST": parts.hostname, "PORT": parts.port, "USER": parts.username, "PASSWORD": parts.password or ""}
    return another(engine, NAME=name, **fields)


def test_a_database_without_our_tables(monkeypatch, tmp_path):
    monkeypatch.setattr("portus.registry.health.connection", sqlite(tmp_path / "empty.sqlite3"))

    assert status.database_state() == ("database is initializing", False)


def test_a_database_that_cannot_be_opened(client, monkeypatch, tmp_path):
    monkeypatch.setattr("portus.registry.health.connection", sqlite(tmp_path / "nowhere" / "x.sqlite3"))

    assert health_of(client) == (
        503,
        {
            "database": {"msg": "cannot connect to database", "success": False},
            "registry": {"msg": "not known without the database", "success": False},
        },
    )


def test_a_file_that_is_no_database(monkeypatch, tmp_path):
    (tmp_path / "x.sqlite3").write_text("hello" * 1000)
    monkeypatch.setattr("portus.registry.health.connection", sqlite(tmp_path / "x.sqlite3"))

    assert status.database_state() == ("unknown error", False)


@pytest.mark.parametrize("server", ["postgresql_server", "mariadb_server"])
def test_a_database_that_was_not_created(request, monkeypatch, server):
    url = request.getfixturevalue(server).url
    monkeypatch.setattr("portus.registry.health.connection", on_server(url, "not_there"))

    assert status.database_state() == ("database has not been created", False)


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_a_database_server_that_is_away(monkeypatch, scheme):
    url = f"{scheme}://portus:x@127.0.0.1:{free_port()}/portus"
    monkeypatch.setattr("portus.registry.health.connection", on_server(url, "portus"))

    assert status.database_state() == ("cannot connect to database", False)
