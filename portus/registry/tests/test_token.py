"""The token service as a client and a registry see it: refusals first, then what is granted, then what is signed."""

import base64
import json
from datetime import datetime, timedelta
from urllib.parse import urlencode

import jwt
import pytest
from django.utils import timezone

from portus.accounts import hashing
from portus.accounts.hashing import Room
from portus.accounts.models import ApplicationToken, SignInFailure
from portus.accounts.operations import create_token
from portus.registry import signing
from portus.teams.models import Namespace, Visibility

pytestmark = pytest.mark.django_db

SERVICE = "registry.test:5000"


def basic(username, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def ask(client, *scopes, service=SERVICE, headers=None, **parameters):
    query = [("service", service), *(("scope", scope) for scope in scopes), *parameters.items()]
    return client.get(f"/v2/token?{urlencode(query)}", headers=headers or {})


def read(response, audience=SERVICE):
    """Return the claims as a registry reads them: only with our public key, issuer and audience right."""
    assert response.status_code == 200, response.content
    token = response.json()["token"]
    key_id = jwt.get_unverified_header(token)["kid"]
    keys = {key["kid"]: jwt.PyJWK(key) for key in signing.jwks()["keys"]}
    return jwt.decode(token, keys[key_id].key, algorithms=["ES256"], audience=audience, issuer="portus.test.lan")


def granted(response):
    return [(entry["name"], entry["actions"]) for entry in read(response)["access"]]


@pytest.fixture
def team_namespace(cast, make_namespace):
    return make_namespace(name="team", team=cast.team, visibility=Visibility.PRIVATE)


@pytest.fixture
def alice(cast):
    """Alice's credentials: an application token."""
    return basic("alice", create_token(cast.alice, "tests", actor=cast.alice)[1])


# Refusals


@pytest.mark.parametrize(
    "header",
    [
        basic("alice", "wrong"),
        basic("nobody", "anything"),
        basic("alice", ""),
        basic("", ""),
        {"Authorization": "Bearer abc"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"no-colon").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"a\0b:x").decode()},
        {"Authorization": ""},
    ],
)
def test_wrong_credentials_are_401_with_a_challenge(client, cast, registry, header):
    response = ask(client, headers=header)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Basic realm="Application"'
    assert response.json()["error"] == "Invalid user name or password."
    assert response.json()["errors"][0]["code"] == "UNAUTHORIZED"


def test_unknown_and_known_names_are_refused_in_the_same_words(client, cast, registry):
    known = ask(client, headers=basic("alice", "wrong"))
    unknown = ask(client, headers=basic("nobody", "wrong"))

    assert known.content == unknown.content


def test_a_disabled_user_gets_no_token_whatever_she_knows(client, cast, registry, alice, password):
    cast.alice.is_active = False
    cast.alice.save()

    for header in (alice, basic("alice", password)):
        response = ask(client, headers=header)
        assert response.status_code == 401
        assert "disabled" in response.json()["error"]
    assert "disabled" not in ask(client, headers=basic("alice", "wrong")).json()["error"]


def test_an_expired_application_token_is_refused(client, cast, registry, alice):
    ApplicationToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert ask(client, headers=alice).status_code == 401


def test_somebody_elses_application_token_is_refused(client, cast, registry):
    value = create_token(cast.bob, "tests", actor=cast.bob)[1]

    assert ask(client, headers=basic("alice", value)).status_code == 401


def test_ten_different_wrong_passwords_lock_password_checks_but_not_tokens(client, cast, registry, alice, password):
    for number in range(10):
        assert ask(client, headers=basic("alice", f"wrong {number}")).status_code == 401

    locked = ask(client, headers=basic("alice", password))
    assert locked.status_code == 401
    assert "ten minutes" in locked.json()["error"]
    assert ask(client, headers=alice).status_code == 200

    SignInFailure.objects.update(failed_at=timezone.now() - timedelta(minutes=10, seconds=1))
    assert ask(client, headers=basic("alice", password)).status_code == 200


def test_the_same_wrong_password_again_and_again_locks_nobody(client, cast, registry, password):
    for _ in range(12):
        ask(client, headers=basic("alice", "the old one"))

    assert ask(client, headers=basic("alice", password)).status_code == 200
    assert SignInFailure.objects.count() == 1


def test_names_that_nobody_has_are_locked_alike(client, cast, registry):
    for number in range(10):
        ask(client, headers=basic("nobody", f"wrong {number}"))

    assert "ten minutes" in ask(client, headers=basic("nobody", "x")).json()["error"]


def test_a_bots_password_opens_nothing(client, cast, registry, make_user, password):
    robot = make_user("robot", bot=True)
    value = create_token(robot, "tests", actor=cast.ada)[1]

    assert ask(client, headers=basic("robot", password)).status_code == 401
    assert ask(client, headers=basic("robot", value)).status_code == 200


def test_an_account_parameter_that_names_somebody_else_is_400(client, cast, registry, alice):
    assert ask(client, headers=alice, account="bob").status_code == 400
    assert ask(client, headers=alice, account="ALICE").status_code == 200


def test_an_account_parameter_without_credentials_is_ignored(client, cast, registry):
    assert read(ask(client, account="alice"))["sub"] == ""


def test_a_session_is_not_a_credential(client, cast, registry, team_namespace):
    client.force_login(cast.alice)

    assert granted(ask(client, "repository:team/app:pull")) == []
    assert "_portus_session" not in ask(client).cookies


@pytest.mark.parametrize(
    "scope",
    ["whale:foo,bar", "", "lala:team/app:pull", "repository(plugin):team/app:pull", "repository", "repository:x"],
)
def test_what_is_no_scope_is_401_with_an_empty_body(client, cast, registry, alice, scope):
    response = ask(client, "repository:team/app:pull", scope, headers=alice)

    assert response.status_code == 401
    assert response.content == b""


def test_when_too_many_passwords_are_being_checked_it_is_429(client, cast, registry, alice, password, monkeypatch):
    monkeypatch.setattr(hashing, "room", Room(at_once=1, inside=1, patience_seconds=0))

    with hashing.room._inside:
        refused = ask(client, headers=basic("alice", password))
        assert ask(client, headers=alice).status_code == 200

    assert (refused.status_code, refused["Retry-After"]) == (429, "2")
    assert refused.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    assert ask(client, headers=basic("alice", password)).status_code == 200


@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 401)])
def test_a_request_asks_for_a_hundred_scopes_at_most(client, cast, registry, count, status):
    scopes = [f"repository:team/app{number}:pull" for number in range(count)]

    assert ask(client, *scopes).status_code == status
    assert ask(client, " ".join(scopes)).status_code == status


def test_post_is_404_so_that_clients_fall_back_to_get(client, cast, registry):
    assert client.post("/v2/token").status_code == 404


# What is granted


HOLES = [
    "repository:team/app:*,push,pull",
    "repository:team/app:push,*,pull",
    "repository:unknown/app:*,push,pull",
    "registry:catalog:x,*",
    "registry:catalog:*",
    "registry:other:*",
    "registry:catalog:pull",
    "repository:team/app:show,owner,present,fork",
    "repository:/team/app:pull,push",
    "repository:team/:pull,push",
    "repository::pull",
    "repository:registry.test/team/app:pull",
]


@pytest.mark.parametrize("scope", HOLES)
@pytest.mark.parametrize("who", ["anonymous", "dave"])
def test_no_way_of_asking_gets_around_the_policy(client, cast, registry, team_namespace, scope, who):
    headers = {} if who == "anonymous" else basic("dave", create_token(cast.dave, "t", actor=cast.dave)[1])

    assert granted(ask(client, scope, headers=headers)) == []


@pytest.mark.parametrize("push_policy", ["admin-only", "allow-personal"])
def test_a_star_does_not_get_around_the_push_policy(
    client, cast, registry, team_namespace, alice, configure, push_policy
):
    # Registries take `*` for every action: a token with it pushes.
    configure(**{"user_permission.push_images.policy": push_policy})

    access = granted(ask(client, "repository:team/app:*,delete,push", headers=alice))

    assert access == [("team/app", ["delete"])]


TEAM = [
    ("anonymous", []),
    ("dave", []),
    ("carol", ["pull"]),
    ("bob", ["pull", "push"]),
    ("alice", ["pull", "push", "delete", "*"]),
    ("ada", ["pull", "push", "delete", "*"]),
]


@pytest.mark.parametrize(("who", "actions"), TEAM)
def test_each_role_gets_what_the_policy_allows_in_the_order_asked(client, cast, registry, team_namespace, who, actions):
    user = getattr(cast, who, None)
    headers = basic(who, create_token(user, "t", actor=user)[1]) if user else {}

    access = granted(ask(client, "repository:team/app:pull,push,delete,*,fork", headers=headers))

    assert access == ([("team/app", actions)] if actions else [])


def test_a_star_grants_only_itself(client, cast, registry, team_namespace, alice):
    assert granted(ask(client, "repository:team/app:*", headers=alice)) == [("team/app", ["*"])]


@pytest.mark.parametrize(
    ("visibility", "anonymous", "stranger"),
    [(Visibility.PUBLIC, ["pull"], ["pull"]), (Visibility.PROTECTED, [], ["pull"]), (Visibility.PRIVATE, [], [])],
)
def test_visibility(client, cast, registry, make_namespace, visibility, anonymous, stranger):
    make_namespace(name="team", team=cast.team, visibility=visibility)
    dave = basic("dave", create_token(cast.dave, "t", actor=cast.dave)[1])

    assert granted(ask(client, "repository:team/app:pull,push")) == ([("team/app", anonymous)] if anonymous else [])
    assert granted(ask(client, "repository:team/app:pull,push", headers=dave)) == (
        [("team/app", stranger)] if stranger else []
    )


def test_a_name_without_slash_is_in_the_global_namespace(client, cast, registry, alice):
    ada = basic("ada", create_token(cast.ada, "t", actor=cast.ada)[1])

    assert granted(ask(client, "repository:busybox:pull,push", headers=alice)) == [("busybox", ["pull"])]
    assert granted(ask(client, "repository:busybox:pull,push", headers=ada)) == [("busybox", ["pull", "push"])]
    assert granted(ask(client, "repository:busybox:pull")) == [("busybox", ["pull"])]


def test_the_global_and_another_namespace_in_one_request(client, cast, registry, team_namespace, alice):
    access = granted(ask(client, "repository:team/app:push", "repository:busybox:pull", headers=alice))

    assert access == [("team/app", ["push"]), ("busybox", ["pull"])]


@pytest.mark.parametrize(
    "scopes",
    [
        ("repository:team/app:push", "repository:team/app:pull"),
        ("repository:team/app:push repository:team/app:pull",),
        ("repository:team/app:push,push,pull",),
    ],
)
def test_scopes_of_one_repository_are_one_entry(client, cast, registry, team_namespace, alice, scopes):
    assert granted(ask(client, *scopes, headers=alice)) == [("team/app", ["push", "pull"])]


def test_a_blob_mount_asks_two_repositories(client, cast, registry, team_namespace, make_namespace, alice):
    make_namespace(name="other", team=cast.empty_team, visibility=Visibility.PRIVATE)

    access = granted(ask(client, "repository:team/app:pull,push repository:other/app:pull", headers=alice))

    assert access == [("team/app", ["pull", "push"])]


def test_a_host_with_port_in_the_name_is_not_its_namespace(client, cast, registry, team_namespace, alice):
    name = "registry.test:5000/team/app"

    assert granted(ask(client, f"repository:{name}:pull,push", headers=alice)) == [(name, ["pull", "push"])]


def test_the_catalog_is_for_administrators(client, cast, registry, alice):
    ada = basic("ada", create_token(cast.ada, "t", actor=cast.ada)[1])

    response = ask(client, "registry:catalog:*", headers=ada)
    assert read(response)["access"] == [{"type": "registry", "name": "catalog", "actions": ["*"]}]
    assert granted(ask(client, "registry:catalog:*", headers=alice)) == []


def test_a_namespace_of_another_registry_grants_nothing(client, cast, registry, make_registry, make_namespace, alice):
    other = make_registry("other", "other.test")
    make_namespace(name="elsewhere", team=cast.team, registry=other)

    assert granted(ask(client, "repository:elsewhere/app:pull", headers=alice)) == []


def test_a_registry_is_known_by_its_external_name_too(client, cast, registry, team_namespace, alice):
    registry.external_hostname = "hub.example"
    registry.save()

    response = ask(client, "repository:team/app:pull", service="hub.example", headers=alice)

    assert read(response, audience="hub.example")["access"][0]["actions"] == ["pull"]


@pytest.mark.parametrize("scopes", [(), ("repository:team/app:pull",)])
def test_an_unknown_service_gets_a_token_that_opens_nothing(client, cast, registry, team_namespace, alice, scopes):
    response = ask(client, *scopes, service="unknown.test", headers=alice)

    assert read(response, audience="unknown.test")["access"] == []


@pytest.mark.parametrize("query", ["?service=&scope=repository:team/app:pull", "?scope=repository:team/app:pull", ""])
def test_no_service_is_no_registry_even_where_one_has_no_external_name(
    client, cast, registry, team_namespace, alice, query
):
    token = client.get(f"/v2/token{query}", headers=alice).json()["token"]

    assert jwt.decode(token, options={"verify_signature": False})["access"] == []


def test_a_nul_byte_is_400(client, cast, registry, alice):
    assert ask(client, service="a\0b", headers=alice).status_code == 400


def test_a_discovered_namespace_is_only_the_administrators(client, cast, registry, alice):
    Namespace.objects.create(name="found", registry=registry)
    ada = basic("ada", create_token(cast.ada, "t", actor=cast.ada)[1])

    assert granted(ask(client, "repository:found/app:pull", headers=alice)) == []
    assert granted(ask(client, "repository:found/app:pull", headers=ada)) == [("found/app", ["pull"])]


# The answer


def test_a_login_has_no_access_claim(client, cast, registry, alice):
    claims = read(ask(client, headers=alice))

    assert "access" not in claims
    assert claims["sub"] == "alice"


def test_the_claims_and_the_answer(client, cast, registry, alice):
    response = ask(client, headers=basic("ALICE", base64.b64decode(alice["Authorization"][6:]).decode()[6:]))
    body, claims = response.json(), read(response)

    assert set(body) == {"token", "access_token", "expires_in", "issued_at"}
    assert body["token"] == body["access_token"]
    assert body["expires_in"] == 900
    assert claims["exp"] - claims["iat"] == 900
    assert claims["iat"] - claims["nbf"] == 5
    assert claims["sub"] == "alice"  # as she is stored, however she typed it
    assert body["issued_at"].endswith("+00:00")
    assert response["Cache-Control"] == "no-store"
    assert len({read(ask(client, headers=alice))["jti"] for _ in range(3)}) == 3


def test_a_token_lives_as_long_as_the_option_says(client, cast, registry, configure):
    configure(**{"registry.jwt_expiration_time.value": 7})

    response = ask(client)

    claims = read(response)
    assert claims["exp"] - claims["iat"] == response.json()["expires_in"] == 7 * 60


def test_when_it_was_issued_is_said_in_our_time_zone(client, cast, registry, settings):
    settings.TIME_ZONE = "Asia/Kolkata"

    response = ask(client)

    said = datetime.fromisoformat(response.json()["issued_at"])
    assert said.utcoffset() == timedelta(hours=5, minutes=30)
    assert said.timestamp() == read(response)["iat"]


@pytest.mark.parametrize(("header", "names"), [("x5c", {"x5c", "kid"}), ("libtrust", {"kid"}), ("rfc7638", {"kid"})])
def test_the_registry_says_how_it_wants_the_key_named(client, cast, registry, header, names):
    registry.token_key_header = header
    registry.save()

    token = ask(client).json()["token"]

    said = jwt.get_unverified_header(token)
    assert {"x5c", "kid"} & set(said) == names
    assert said["alg"] == "ES256"


# Cost


def test_an_application_token_costs_two_statements(
    client, cast, registry, alice, team_namespace, django_assert_num_queries
):
    ask(client, headers=alice)  # writes "last used", once a minute

    with django_assert_num_queries(2):
        ask(client, "repository:team/app:pull,push", "repository:busybox:pull", headers=alice)


def test_an_anonymous_request_costs_one_statement(client, cast, registry, django_assert_num_queries):
    with django_assert_num_queries(1):
        ask(client, "repository:busybox:pull")


def test_a_password_that_was_just_checked_is_not_hashed_again(client, cast, registry, password, monkeypatch):
    assert ask(client, headers=basic("alice", password)).status_code == 200
    monkeypatch.setattr("portus.accounts.backends.verify_password", None)  # calling it would fail

    assert ask(client, headers=basic("alice", password)).status_code == 200


def test_a_changed_password_is_noticed_at_once(client, cast, registry, password):
    assert ask(client, headers=basic("alice", password)).status_code == 200
    cast.alice.set_password("another one 123")
    cast.alice.save()

    assert ask(client, headers=basic("alice", password)).status_code == 401
    assert ask(client, headers=basic("alice", "another one 123")).status_code == 200


def test_last_used_is_written_at_most_once_a_minute(client, cast, registry, alice):
    ask(client, headers=alice)
    first = ApplicationToken.objects.get().last_used_at
    assert timezone.now() - first < timedelta(seconds=10)

    ask(client, headers=alice)
    assert ApplicationToken.objects.get().last_used_at == first

    ApplicationToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    ask(client, headers=alice)
    assert ApplicationToken.objects.get().last_used_at > first


# /v2/ and the keys


def test_ping(client, cast, registry, alice, password):
    assert client.get("/v2/").status_code == 401
    assert client.get("/v2/")["WWW-Authenticate"].startswith("Basic")
    assert client.get("/v2/", headers=basic("alice", "wrong")).status_code == 401
    assert client.get("/v2/", headers=alice).status_code == 200
    assert client.get("/v2", headers=basic("alice", password)).status_code == 200
    client.force_login(cast.alice)
    assert client.get("/v2/").status_code == 200
    assert client.get("/v2/", headers=basic("alice", "wrong")).status_code == 401  # the header is the one that counts


@pytest.mark.parametrize("path", ["/v2/token", "/auth/token", "/v2/token.json"])
def test_the_paths(client, cast, registry, path):
    assert client.get(path).status_code == 200


def test_the_public_keys_are_listed_under_both_key_ids(client):
    keys = json.loads(client.get("/v2/jwks.json").content)["keys"]

    assert len({key["kid"] for key in keys}) == 2
    assert all("d" not in key for key in keys)
