"""Each kind of broken set-up is told apart, and the sentence names what mends it."""

import re
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from wsgiref.handlers import format_date_time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from django.utils import timezone

from portus.registry import health, signing
from portus.registry.models import EventState, Registry, RegistryEvent, TokenKeyHeader
from portus.registry.operations import set_token_key_header
from portus.tests.servers.client import RegistryClient as Client
from portus.tests.servers.images import oci_image
from portus.tests.servers.ports import free_port

ISSUER = "portus.test.lan"
PUBLIC_URL = "http://portus.test:3000"
SECRET = "a-secret-of-tests-long-enough"

NOBODY_WORKS = "1 notifications wait to be handled: is `portus background` running?"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def options(configure):
    configure(**{"public_url": PUBLIC_URL, "registry.timeout.value": 2, "registry.read_timeout.value": 5})


@pytest.fixture
def beside(start_registry, registry_binary, make_registry):
    """Return the row of a real registry that is configured as it should be, but for what the options say."""

    def start(row=None, **options):
        port = free_port()
        defaults = {
            "portus_url": PUBLIC_URL,
            "issuer": ISSUER,
            "root_certificate": signing.keys_folder() / "root.crt",
            "service": f"127.0.0.1:{port}",
            "port": port,
        }
        start_registry(registry_binary, **{**defaults, **options})
        secret = {"notification_secret": SECRET}
        return make_registry("ours", f"127.0.0.1:{port}", **{**secret, **(row or {})})

    return start


def told(registry):
    return {check.name: (check.ok, check.sentence) for check in health.check_registry(registry)}


# What a registry may have wrong


def test_one_that_does_not_run(make_registry):
    port = free_port()

    found = told(make_registry("ours", f"127.0.0.1:{port}"))

    assert found == {
        "registry": (
            False,
            f"The registry 127.0.0.1:{port} refuses the connection: is it running, and is the port right?",
        )
    }


def test_one_that_is_no_registry(make_registry, answering):
    found = told(make_registry("ours", answering(404, {})))

    assert list(found) == ["registry"]
    assert found["registry"][0] is False
    assert "is no registry" in found["registry"][1]


def test_one_that_speaks_no_tls(beside):
    found = told(beside(row={"use_ssl": True}))

    assert list(found) == ["registry"]
    assert "turn use_ssl off" in found["registry"][1]


@pytest.mark.parametrize("seconds", [-3600, -40, 40, 3600])
def test_one_whose_clock_is_wrong(make_registry, answering, seconds):
    found = told(make_registry("ours", answering(401, challenge(), ahead=seconds)))

    ok, sentence = found["clock"]
    assert not ok
    found = re.match(r"The registry's clock is (\d+) s (ahead of|behind) ours: set both by NTP", sentence)
    assert abs(int(found[1]) - abs(seconds)) <= 1  # a date has whole seconds
    assert ("ahead" in sentence) is (seconds > 0)


@pytest.mark.parametrize("seconds", [-20, 20])
def test_a_clock_that_is_a_little_off_does_no_harm(make_registry, answering, seconds):
    found = told(make_registry("ours", answering(401, challenge(), ahead=seconds)))

    assert found["clock"] == (True, "The registry's clock agrees with ours.")


def test_one_that_asks_for_no_token(beside):
    found = told(beside(root_certificate=None))

    assert found["challenge"] == (
        False,
        "The registry asks for no token, so anyone may do anything: set its auth.token; `portus registry configuration "
        "ours` prints what it must say.",
    )
    assert "token" not in found


def test_one_that_sends_its_clients_elsewhere(beside):
    found = told(beside(portus_url="http://elsewhere.test"))

    assert found["challenge"] == (
        False,
        f"The registry sends its clients to http://elsewhere.test/v2/token, but we are at {PUBLIC_URL}/v2/token: mend "
        "its auth.token.realm, or our public_url.",
    )


def test_one_that_has_another_name(beside):
    found = told(beside(service="registry.example.org"))

    assert found["challenge"][0] is False
    assert (
        'The registry calls itself "registry.example.org": set its auth.token.service to 127.0.0.1'
        in (found["challenge"][1])
    )
    assert found["token"][0] is False


def test_its_external_name_is_right_too(beside):
    found = told(beside(service="images.test", row={"external_hostname": "images.test"}))

    assert found["challenge"][0] is True
    assert found["token"][0] is True


def test_one_that_expects_another_issuer(beside):
    found = told(beside(issuer="other.test"))

    assert found["challenge"][0] is True
    assert found["token"] == (
        False,
        f"It refuses our tokens: its auth.token.issuer must be {ISSUER}, and its rootcertbundle the content of "
        f"{signing.keys_folder()}/root.crt.",
    )


def test_one_that_trusts_another_root(beside, tmp_path):
    signing.make_keys(tmp_path / "keys-of-somebody-else")

    found = told(beside(root_certificate=tmp_path / "keys-of-somebody-else/root.crt"))

    assert found["token"][0] is False
    assert "rootcertbundle" in found["token"][1]


@pytest.mark.parametrize("header", [TokenKeyHeader.LIBTRUST, TokenKeyHeader.RFC7638])
def test_one_for_which_the_key_is_named_wrongly(beside, header):
    """It knows our root alone, so the certificate of the key has to come along."""
    registry = beside()
    set_token_key_header(registry, header, actor=None)

    found = told(registry)

    assert found["token"] == (
        False,
        "It accepts our tokens only with token_key_header x5c: run `portus registry set ours --token-key-header x5c`.",
    )


def test_the_name_of_the_key_that_it_finds_is_the_right_one(beside, tmp_path, registry_binary):
    """With the certificate of the key itself in its bundle, a registry knows the key by its id."""
    bundle = tmp_path / "bundle.crt"
    bundle.write_bytes(signing.certificates().leaf.public_bytes(Encoding.PEM))
    registry = beside(root_certificate=bundle)
    right = TokenKeyHeader.LIBTRUST if registry_binary.major == 2 else TokenKeyHeader.RFC7638
    wrong = TokenKeyHeader.RFC7638 if registry_binary.major == 2 else TokenKeyHeader.LIBTRUST

    set_token_key_header(registry, wrong, actor=None)
    cure = told(registry)["token"]
    header = re.search(r"--token-key-header (\w+)`", cure[1])[1]
    set_token_key_header(registry, TokenKeyHeader(header), actor=None)

    assert cure[0] is False
    assert header in {TokenKeyHeader.X5C, right}
    assert told(registry)["token"][0] is True


def test_one_whose_notifications_carry_no_secret(beside):
    found = told(beside(row={"notification_secret": None}))

    assert found["notifications"] == (
        False,
        "They carry no secret, so anybody can forge them: run `portus registry secret ours`.",
    )


def test_one_that_has_images_of_which_it_never_told(beside, start_registry, registry_binary, tmp_path):
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "images")}}
    with Client(start_registry(registry_binary, extra={"storage": storage}).address) as client:
        client.push(oci_image(), "team/app", "1")

    found = told(beside(extra={"storage": storage}))

    assert found["token"][0] is True
    assert found["notifications"][0] is False
    assert (
        "None ever arrived, though the registry has team/app: mend its notifications.endpoints"
        in (found["notifications"][1])
    )


# A healthy one


def test_a_healthy_registry(beside):
    found = told(beside())

    assert found["notifications"] == (True, "None arrived yet; the registry is empty.")
    assert [name for name, (ok, _) in found.items() if not ok] == []
    assert list(found) == ["registry", "clock", "challenge", "token", "notifications"]
    assert found["token"][1] == "It accepts our tokens (token_key_header: automatic)."


def test_the_last_notification_is_told(beside, make_event):
    registry = beside()
    event = make_event(registry, state=EventState.DONE)

    assert told(registry)["notifications"] == (
        True, f"The last one arrived {event.received_at:%Y-%m-%d %H:%M} UTC.",
    )  # fmt: skip


def test_a_notification_without_the_secret_proves_nothing(beside, make_event):
    registry = beside()
    make_event(registry, state=EventState.DONE, trusted=False)

    assert told(registry)["notifications"] == (True, "None arrived yet; the registry is empty.")


# Ours: background, strangers, keys


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        ({"state": EventState.NEW, "due_at": -120}, NOBODY_WORKS),
        ({"state": EventState.WORKING, "due_at": -120}, NOBODY_WORKS),
        (
            {"state": EventState.FAILED, "due_at": 300, "error": "The registry x refuses the connection."},
            "Notifications are tried again and again; the last reason: The registry x refuses the connection.",
        ),
        ({"state": EventState.NEW, "due_at": -10}, None),
        ({"state": EventState.WORKING, "due_at": 240}, None),
    ],
)  # fmt: skip
def test_events_that_nobody_handles(registry, make_event, event, sentence):
    due_at = timezone.now() + timedelta(seconds=event["due_at"])
    make_event(registry, **{**event, "due_at": due_at})

    check = health.check_background()

    assert (check.ok, check.sentence) == (not sentence, sentence or "No notification waits to be handled.")


def test_notifications_of_a_stranger(make_event):
    make_event(None, state=EventState.QUARANTINED, error="No registry is known as other.test.")

    check = health.check_strangers()

    assert not check.ok
    assert check.sentence == (
        "1 of the last day were not understood; the last: No registry is known as other.test. Add the registry "
        "(`portus registry add`), or mend its name here."
    )


def test_what_was_not_understood_long_ago_is_forgotten(make_event):
    long_ago = timezone.now() - timedelta(days=2)
    make_event(None, state=EventState.QUARANTINED, error="No registry is known as x.", received_at=long_ago)

    assert health.check_strangers().ok


def test_no_registry_at_all(db):
    assert [(check.name, check.ok) for check in health.check_registries()] == [("registry", False)]


@pytest.fixture
def keys(tmp_path, configure):
    """Keys of a place of their own, to be broken."""
    configure(**{"runtime.data": tmp_path})
    folder = signing.keys_folder()
    signing.make_keys(folder)
    return folder


def test_good_keys(keys):
    check = health.check_keys()

    assert check.ok
    assert re.fullmatch(
        r"The signing certificate is good until 20\d\d-\d\d-\d\d, its root until 20\d\d-\d\d-\d\d\.", check.sentence
    )


def test_no_keys(tmp_path, configure):
    configure(**{"runtime.data": tmp_path})

    check = health.check_keys()

    assert not check.ok
    assert check.sentence.startswith(f"There is no {tmp_path}/keys/signing.key; `portus up` and `portus migrate` make")


def test_a_key_that_others_may_read(keys):
    (keys / "signing.key").chmod(0o644)

    check = health.check_keys()

    assert (check.ok, check.sentence) == (
        False, f"{keys}/signing.key may be read by others on this machine: chmod 600 {keys}/signing.key.",
    )  # fmt: skip


def test_a_root_that_did_not_issue_the_signing_certificate(keys, tmp_path):
    signing.make_keys(tmp_path / "other")
    (tmp_path / "other/root.crt").replace(keys / "root.crt")

    check = health.check_keys()

    assert (check.ok, check.sentence) == (
        False, f"The signing certificate was not issued by {keys}/root.crt: run `portus keys rotate`.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("life", "ok", "words"),
    [
        (timedelta(seconds=-60), False, "The signing certificate ended on "),
        (timedelta(days=13), False, "The signing certificate ends on "),
        (timedelta(days=15), True, "The signing certificate is good until "),
    ],
)
def test_a_signing_certificate_that_ends(keys, monkeypatch, life, ok, words):
    monkeypatch.setattr(signing, "LEAF_LIFE", life)
    signing.rotate_leaf(keys)

    check = health.check_keys()

    assert (check.ok, check.sentence.startswith(words)) == (ok, True)
    assert ok or check.sentence.endswith(": run `portus keys rotate`.")


def test_a_root_that_ended(tmp_path, configure, monkeypatch):
    configure(**{"runtime.data": tmp_path})
    monkeypatch.setattr(signing, "ROOT_LIFE", timedelta(seconds=-60))
    signing.make_keys(signing.keys_folder())

    check = health.check_keys()

    assert not check.ok
    assert check.sentence.startswith("The root certificate ended on ")
    assert check.sentence.endswith("run `portus migrate`, and give registries the new one.")


# Files


def test_files_that_others_may_read(tmp_path, configure):
    configure(**{"runtime.data": tmp_path})
    tmp_path.chmod(0o755)
    secret, queue = tmp_path / "secret_key_base", tmp_path / "queue.sqlite3-wal"
    secret.touch(0o600)
    queue.touch(0o600)
    assert health.check_files().ok
    queue.chmod(0o644)

    check = health.check_files()

    assert not check.ok
    assert check.sentence == f"{queue} may be read by others on this machine: run `chmod o= {queue}`."


def test_what_is_in_a_folder_of_our_own_nobody_else_reads(tmp_path, configure):
    configure(**{"runtime.data": tmp_path})
    tmp_path.chmod(0o700)
    (tmp_path / "secret_key_base").touch(0o644)

    assert health.check_files().ok


# All of it


def test_the_checks_come_in_the_order_in_which_one_mends(beside, make_event):
    make_event(beside(), state=EventState.DONE)

    names = [check.name for check in health.checks()]

    assert names == [
        "database", "migrations", "keys", "files", "background", "notifications",
        "registry", "clock", "challenge", "token", "notifications",
    ]  # fmt: skip
    assert all(check.ok for check in health.checks())
    assert {check.registry for check in health.checks()} == {"", "ours"}


@pytest.fixture
def make_event():
    def make(registry, **fields):
        count = RegistryEvent.objects.count()
        if fields.get("state") in {EventState.DONE, EventState.QUARANTINED}:
            fields.setdefault("due_at", None)
        defaults = {"key": f"{count:064}", "trusted": True, "host": "registry.test", "action": "push", "data": "{}"}
        return RegistryEvent.objects.create(registry=registry, **{**defaults, **fields})

    return make


def challenge():
    return {
        "Docker-Distribution-Api-Version": "registry/2.0",
        "WWW-Authenticate": f'Bearer realm="{PUBLIC_URL}/v2/token",service="registry.test"',
    }


@pytest.fixture
def answering():
    """A server that answers everything alike, by a clock of its own: no real registry lets its clock be set."""
    servers = []

    def start(status, headers, *, ahead=0):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                for name, value in {**headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def date_time_string(self, timestamp=None):  # noqa: ARG002 - what it overrides
                return format_date_time(timezone.now().timestamp() + ahead)

            def log_message(self, *arguments):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_registry_is_told_by_its_name(make_registry):
    make_registry("one", f"127.0.0.1:{free_port()}")
    make_registry("two", f"127.0.0.1:{free_port()}")

    assert [check.registry for check in health.check_registries()] == ["one", "two"]
    assert Registry.objects.count() == 2
