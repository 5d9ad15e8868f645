"""What the registry client says when there is no registry, or a strange one; and that odd names lead nowhere."""

import hashlib
import json
import socket
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from portus.registry import client as client_module
from portus.registry.client import Challenge, RegistryClient, RegistryError
from portus.registry.models import Registry
from portus.tests.servers.ports import LOOPBACK, free_port, listens
from portus.tests.servers.process import Process

DIGEST = f"sha256:{'a' * 64}"


def ask(address, *, use_ssl=False, external=None):
    return RegistryClient(Registry(name="it", hostname=address, use_ssl=use_ssl, external_hostname=external))


# Names come from notifications, and anybody may send those


NO_NAMES = [
    "", "/", "/team/app", "team//app", "team/", ".", "..", "../..", "team/../../_catalog", "team/./app", "a?x=y", "a#b",
    "a b", "ä", "a%2e", "%2e%2e/x", "-a", "a-", "a..b", "a___b", "a\\b", "a\nb",
    "registry.test:5000/team/app", "localhost:80/a", "team/App", "a\0b", "\ud800", "a:b",
    "http://x/y", "@x", "a" * 256, "team/app/manifests/latest?",
]  # fmt: skip
NO_REFERENCES = [
    "", "..", "../../x", "a/b", "a?b", "a b", "ä", "-a", ".a", "a" * 129, "sha256:", "sha256:xyz/..", "a:b", "a:b:c",
    "sha256:" + "a" * 63, "sha256:" + "A" * 64, "sha512:" + "a" * 64, "md5:" + "a" * 32, "a\n", "\ud800", "a\0",
]  # fmt: skip


def what_is_behind(client, repository, reference):
    return [
        client.head_manifest(repository, reference),
        client.manifest(repository, reference),
        client.blob(repository, reference),
    ]


def what_is_in(client, repository):
    return [next(client.tags(repository), None), client.has_repository(repository)]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_no_registry_can_hold_is_not_asked_for(serve, name):
    server = serve((200, {}, b"{}"))

    assert what_is_behind(ask(server.address), name, "latest") == [None] * 3
    assert what_is_in(ask(server.address), name) == [None, False]
    assert server.asked == []


@pytest.mark.parametrize("reference", NO_REFERENCES)
def test_what_is_no_reference_is_not_asked_for(serve, reference):
    server = serve((200, {}, b"{}"))

    assert what_is_behind(ask(server.address), "team/app", reference) == [None] * 3
    assert server.asked == []


# Answers that no registry gives


def test_a_registry_with_passwords_of_its_own(serve):
    server = serve((401, {"WWW-Authenticate": 'Basic realm="x"'}, b""))

    with pytest.raises(RegistryError, match=r"asks for a password instead of a token: set its auth\.token"):
        ask(server.address).check_token()


@pytest.mark.parametrize("status", [200, 301, 404, 500])
def test_ping_of_another_web_server_is_none(serve, status):
    server = serve((status, {}, b"<html>"))

    assert ask(server.address).ping() is None


def test_a_404_without_the_registrys_code_does_not_say_that_anything_is_gone(serve):
    server = serve((404, {}, b"404 page not found"))
    client = ask(server.address)

    for question in (
        lambda: client.head_manifest("app", "1"),
        lambda: client.manifest("app", "1"),
        lambda: client.blob("app", DIGEST),
        lambda: client.has_repository("app"),
        lambda: list(client.tags("app")),
        lambda: list(client.catalog()),
    ):
        with pytest.raises(RegistryError, match="with 404 and no error code; is there a proxy in between"):
            question()


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("code", ["NAME_UNKNOWN", "MANIFEST_UNKNOWN", "NAME_INVALID", "DIGEST_INVALID"])
def test_the_registrys_code_says_that_nothing_is_there(serve, status, code):
    server = serve((status, {}, json.dumps({"errors": [{"code": code}]}).encode()))

    assert ask(server.address).manifest("app", "1") is None
    assert list(ask(server.address).tags("app")) == []


def test_a_head_that_finds_nothing_is_checked_by_a_get(serve):
    answers = iter([(404, {}, b""), (200, {"Docker-Content-Digest": DIGEST}, b"{}")])
    server = serve(lambda _: next(answers))

    assert ask(server.address).head_manifest("app", "1") == DIGEST
    assert [asked[0] for asked in server.asked] == ["HEAD", "GET"]


def test_a_registry_that_sends_no_digest_is_read_to_compute_it(serve):
    body = b'{"schemaVersion":2}'
    server = serve((200, {}, body))

    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert ask(server.address).head_manifest("app", "1") == digest
    assert ask(server.address).manifest("app", "1").digest == digest


@pytest.mark.parametrize("digest", ["nonsense", "sha256:" + "a" * 300, "sha256:\xff"])
def test_a_digest_that_is_none_is_refused(serve, digest):
    server = serve((200, {"Docker-Content-Digest": digest}, b"{}"))

    for ask_for in (ask(server.address).head_manifest, ask(server.address).manifest):
        with pytest.raises(RegistryError, match="no digest in its Docker-Content-Digest header"):
            ask_for("app", "1")


def test_a_next_page_at_another_server_is_refused(serve):
    body = json.dumps({"repositories": ["a"]}).encode()
    server = serve((200, {"Link": '<http://elsewhere.test/v2/_catalog?last=a>; rel="next"'}, body))

    with pytest.raises(RegistryError, match=r"continues its list at another server \(elsewhere\.test\)"):
        list(ask(server.address).catalog())


@pytest.mark.parametrize("link", ["/v2/_catalog?last=a", "_catalog?last=a", "http://{address}/v2/_catalog?last=a"])
def test_a_next_page_of_the_same_server_is_followed(serve, link):
    def answer(path):
        if "last" in path:
            return 200, {}, b'{"repositories": ["b"]}'
        return 200, {"Link": f"<{link.format(address=server.address)}>; rel=next"}, b'{"repositories": ["a"]}'

    server = serve(answer)

    assert list(ask(server.address).catalog()) == ["a", "b"]


@pytest.mark.parametrize("link", ["<http://[>; rel=next", "<http://x:99999999/>; rel=next", '<\x7f>; rel="next"'])
def test_a_next_page_that_is_no_address(serve, link):
    server = serve((200, {"Link": link}, b'{"repositories": ["a"]}'))

    with pytest.raises(RegistryError):
        list(ask(server.address).catalog())


def test_a_list_that_runs_in_a_circle_ends(serve):
    server = serve((200, {"Link": "</v2/_catalog?n=100>; rel=next"}, b'{"repositories": ["a"]}'))

    assert list(ask(server.address).catalog()) == ["a"]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ({"repositories": None}, []),
        ({}, []),
        ({"repositories": []}, []),
        ({"repositories": ["a", None, 1, True, {}, ["b"], "c"]}, ["a", "c"]),
        ({"repositories": ["\ud800", "a\0b", "../x", "", "ok/app"]}, ["ok/app"]),
    ],
)
def test_only_what_can_be_a_name_is_taken_from_a_list(serve, content, kept):
    server = serve((200, {}, json.dumps(content).encode()))

    assert list(ask(server.address).catalog()) == kept


def test_only_what_can_be_a_tag_is_taken_from_a_list(serve):
    tags = ["latest", "v1.0_x-y", "V1", "\ud800", "a\0", "a/b", "-a", "a" * 129, "a" * 128]
    server = serve((200, {}, json.dumps({"tags": tags}).encode()))

    assert list(ask(server.address).tags("app")) == ["latest", "v1.0_x-y", "V1", "a" * 128]


NO_JSON = {
    "empty": b"",
    "text": b"hello",
    "html": b"<html>",
    "cut": b'{"tags": ["a"',
    "list": b"[]",
    "null": b"null",
    "number": b"1",
    "string": b'"x"',
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a list of names": b'{"tags": {"a": 1}, "repositories": "abc"}',
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_object_is_said_so(serve, body):
    server = serve((200, {"Docker-Content-Digest": DIGEST}, body))
    client = ask(server.address)

    for question in (lambda: list(client.catalog()), lambda: list(client.tags("app"))):
        with pytest.raises(RegistryError, match=r"with something else than (JSON|a JSON object|a list)\."):
            question()
    if body != NO_JSON["a list of names"]:
        for question in (lambda: client.manifest("app", "1"), lambda: client.blob("app", DIGEST)):
            with pytest.raises(RegistryError, match="with something else than"):
                question()


def test_a_configuration_that_is_no_json_is_no_reason_to_ask_again(serve):
    body = b"it was pushed like this"
    server = serve((200, {}, body))

    assert ask(server.address).blob("app", f"sha256:{hashlib.sha256(body).hexdigest()}") is None


def test_more_than_4_mib_is_not_read(serve):
    server = serve((200, {"Docker-Content-Digest": DIGEST}, b'{"a": "' + b"x" * 4 * 1024 * 1024 + b'"}'))

    with pytest.raises(RegistryError, match="answers with more than 4 MiB"):
        ask(server.address).manifest("app", "1")
    assert ask(server.address).blob("app", DIGEST) is None  # nobody's configuration; the image is listed without


def test_4_mib_are_read(serve):
    body = b'{"a": "' + b"x" * (4 * 1024 * 1024 - 9) + b'"}'
    server = serve((200, {"Docker-Content-Digest": DIGEST}, body))

    assert ask(server.address).manifest("app", "1").length == 4 * 1024 * 1024


def test_a_list_in_one_piece_may_be_longer(serve):
    tags = [f"{number:0128}" for number in range(50_000)]
    server = serve((200, {}, json.dumps({"tags": tags}).encode()))

    assert list(ask(server.address).tags("app")) == tags


@pytest.mark.parametrize(
    ("status", "headers", "body", "words"),
    [
        (500, {}, b"", "answers /v2/app/manifests/1 with 500."),
        (403, {}, b'{"errors": [{"code": "DENIED"}, {"code": "X"}]}', "with 403 (DENIED, X)."),
        (500, {}, b'{"errors": [{"code": "a\\u0000b"}, {"code": "\\ud800"}, {"code": "<b>"}]}', "with 500."),
        (500, {}, b'{"errors": "abc"}', "with 500."),
        (500, {}, b'{"errors": [1, null, "x", {"code": []}]}', "with 500."),
        (429, {}, b'{"errors": [{"code": "TOOMANYREQUESTS"}]}', "with 429 (TOOMANYREQUESTS)."),
        (
            301,
            {"Location": "https://hub.example/v2/"},
            b"",
            "sends us on to https://hub.example/v2/: give it that host name here, and the right use_ssl.",
        ),
        (400, {}, b"Client sent an HTTP request to an HTTPS server.\n", "speaks https: turn use_ssl on."),
        (400, {}, b"<h1>The plain HTTP request was sent to HTTPS port</h1>", "speaks https: turn use_ssl on."),
    ],
)
def test_what_a_refusal_says(serve, status, headers, body, words):
    server = serve((status, headers, body))

    with pytest.raises(RegistryError) as refused:
        ask(server.address).manifest("app", "1")

    assert words in str(refused.value)
    assert str(refused.value).startswith(f"The registry {server.address} ")


def test_our_token_does_not_follow_a_blob_to_another_server(serve):
    body = b'{"os": "linux"}'
    store = serve((200, {}, body))
    server = serve((307, {"Location": f"http://localhost:{store.http.server_port}/blob"}, b""))

    assert ask(server.address).blob("app", DIGEST) == {"os": "linux"}
    assert server.asked[0][2].startswith("Bearer ")
    assert store.asked == [("GET", "/blob", "")]


# No answer at all


@pytest.fixture
def raw_server():
    """Listens, and does with each connection what it is told."""
    sockets = []

    def start(talk):
        listening = socket.create_server((LOOPBACK, 0))
        sockets.append(listening)

        def work():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    talk(connection)

        Thread(target=work, daemon=True).start()
        return f"{LOOPBACK}:{listening.getsockname()[1]}"

    yield start
    for each in sockets:
        each.shutdown(socket.SHUT_RDWR)
        each.close()


def refusal(address, **options):
    with pytest.raises(RegistryError) as refused:
        ask(address, **options).check_token()
    with pytest.raises(RegistryError):
        ask(address, **options).ping()
    assert str(refused.value).startswith(f"The registry {address} ")
    return str(refused.value)


def test_nobody_listens():
    assert "refuses the connection: is it running, and is the port right?" in refusal(f"{LOOPBACK}:{free_port()}")


@pytest.mark.parametrize("use_ssl", [False, True])
def test_an_unknown_host(use_ssl):
    assert "has a host name that is not found" in refusal("no-such-host.invalid:5000", use_ssl=use_ssl)


@pytest.mark.parametrize(
    "host", ["a" * 300, "a..b", "ex ample", "host:99999", "host:x", "[::1", "\ud800", "a\0b", "-", "\u200b"]
)
def test_a_host_name_that_is_none(host):
    with pytest.raises(RegistryError, match="host name"):
        ask(host).check_token()


def test_plain_http_only(start_registry, registry_binary):
    address = start_registry(registry_binary).address

    assert "does not speak TLS on this port: turn use_ssl off" in refusal(address, use_ssl=True)


def test_a_server_that_speaks_something_else(raw_server):
    address = raw_server(lambda connection: connection.sendall(b"220 mail.test ESMTP\r\n") or connection.recv(4096))

    assert "does not answer in HTTP: is it a registry, and is use_ssl right?" in refusal(address)
    assert "does not speak TLS on this port" in refusal(address, use_ssl=True)


def test_a_server_that_hangs_up(raw_server):
    address = raw_server(lambda connection: connection.recv(4096))

    assert "does not answer in HTTP" in refusal(address)


def test_a_server_that_resets(raw_server):
    def reset(connection):
        connection.recv(4096)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    assert "breaks the connection off" in refusal(raw_server(reset))


def test_a_server_that_cuts_its_answer_short(raw_server):
    def talk(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")

    assert "does not answer in HTTP" in refusal(raw_server(talk))


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
def test_a_server_that_does_not_go_on(raw_server, configure, begins):
    configure(**{"registry.read_timeout.value": 1})

    def talk(connection):
        connection.recv(4096)
        connection.sendall(begins)
        connection.recv(4096)

    started = time.monotonic()
    with pytest.raises(RegistryError, match=r"does not answer in time \(registry\.read_timeout\)"):
        ask(raw_server(talk)).check_token()
    assert 0.9 < time.monotonic() - started < 4


def test_a_server_that_cannot_be_reached(configure):
    configure(**{"registry.timeout.value": 1})
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(4)]  # more than its queue holds: the next one is not even refused
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)

        with pytest.raises(RegistryError, match=r"cannot be reached in time \(registry\.timeout\)"):
            ask(f"{LOOPBACK}:{address[1]}").check_token()

        for each in waiting:
            each.close()


# TLS


def self_signed(folder, name=LOOPBACK):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    paths = folder / "tls.crt", folder / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture
def tls_registry(registry_binary, tmp_path):
    certificate, key = self_signed(tmp_path)
    port = free_port()
    configuration = tmp_path / "config.json"
    configuration.write_text(
        json.dumps(
            {
                "version": "0.1",
                "storage": {"filesystem": {"rootdirectory": str(tmp_path / "storage")}},
                "http": {"addr": f"{LOOPBACK}:{port}", "tls": {"certificate": str(certificate), "key": str(key)}},
            }
        )
    )
    process = Process(
        [registry_binary.path, "serve", configuration],
        log=tmp_path / "tls.log",
        environ={"OTEL_TRACES_EXPORTER": "none"},
    )
    process.start()
    process.wait_until(lambda: listens(port))
    yield f"{LOOPBACK}:{port}"
    process.stop()


def test_a_certificate_that_nobody_vouches_for(tls_registry):
    assert "has a certificate that this machine does not trust: add its CA" in refusal(tls_registry, use_ssl=True)


@pytest.fixture
def trusted(tmp_path, monkeypatch):
    """The machine trusts the registry's certificate; a client reads such things once, when it is made."""
    made = []

    def make(*timeouts, real=client_module._pool.__wrapped__):
        made.append(real(*timeouts))
        return made[-1]

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.crt"))
    monkeypatch.setattr(client_module, "_pool", make)
    yield
    for client in made:
        client.close()


def test_a_certificate_that_the_machine_trusts(tls_registry, trusted):
    assert ask(tls_registry, use_ssl=True).ping() == Challenge()


def test_a_certificate_for_another_name(tls_registry, trusted):
    assert "has a certificate for another name" in refusal(tls_registry.replace(LOOPBACK, "localhost"), use_ssl=True)


def test_plain_http_to_a_tls_port(tls_registry):
    with pytest.raises(RegistryError, match=r"speaks https: turn use_ssl on\."):
        ask(tls_registry).ping()
    # A longer request is not read to its end by the registry, which then hangs up before its answer is read.
    with pytest.raises(RegistryError, match="use_ssl"):
        ask(tls_registry).check_token()
