"""The registries of the tests are real ones, configured as ours would be."""

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from portus.tests.servers import images
from portus.tests.servers.client import RegistryClient, oci_push
from portus.tests.servers.ports import LOOPBACK, free_port


@pytest.fixture
def certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "portus")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    path = tmp_path / "root.crt"
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def receiver():
    """A stand-in for Portus that keeps what the registry tells it, as (headers, event)."""
    received = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.extend((self.headers, event) for event in body["events"])
            self.send_response(202)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    def wait_for(wanted):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for headers, event in received[:]:
                if wanted(event):
                    return headers, event
            time.sleep(0.02)
        pytest.fail(f"not among what the registry sent: {received}")

    with ThreadingHTTPServer((LOOPBACK, 0), Receiver) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        server.wait_for = wait_for
        server.url = f"http://{LOOPBACK}:{server.server_port}"
        yield server
        server.shutdown()
        thread.join()


def test_it_answers_401_with_our_realm(start_registry, registry_binary, certificate):
    portus = f"http://{LOOPBACK}:{free_port()}"
    registry = start_registry(
        registry_binary, portus_url=portus, issuer="portus.example", root_certificate=certificate, secret="s3cret"
    )

    answer = httpx.get(f"{registry.url}/v2/")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == f'Bearer realm="{portus}/v2/token",service="{registry.address}"'


def test_it_keeps_its_content_over_a_restart(start_registry, registry_binary):
    registry = start_registry(registry_binary)
    image = images.oci_image()
    oci_push(image, registry.address, "team/app", "1")

    registry.restart()

    with RegistryClient(registry.address) as client:
        assert client.get_manifest("team/app", "1").content == image.manifest.data
    assert registry.repositories() == {"team/app": {"1": image.digest}}


def test_it_notifies_with_the_secret(start_registry, registry_binary, receiver):
    registry = start_registry(registry_binary, portus_url=receiver.url, secret="s3cret")
    image = images.oci_image()

    oci_push(image, registry.address, "team/app", "1")
    headers, event = receiver.wait_for(lambda event: event["target"].get("tag") == "1")

    assert headers["Authorization"] == "Bearer s3cret"
    assert (event["action"], event["target"]["digest"]) == ("push", image.digest)
    assert event["request"]["host"] == registry.address


@pytest.mark.parametrize(
    "image",
    [images.docker_image(), images.oci_image(layers=2), images.oci_index(), images.docker_list()],
    ids=["docker", "oci", "oci-index", "docker-list"],
)
def test_skopeo_copies_every_kind_with_its_digest(start_registry, registry_binary, skopeo, tmp_path, image):
    registry = start_registry(registry_binary)
    source = images.write_dir(image, tmp_path / "image")

    copied = skopeo.copy(source, f"docker://{registry.address}/team/app:1")

    assert copied.returncode == 0, copied.stderr
    raw = skopeo.inspect(f"docker://{registry.address}/team/app:1", "--raw")
    assert raw.stdout == image.manifest.data.decode()
    assert registry.repositories() == {"team/app": {"1": image.digest}}


def test_skopeo_reads_oci_layouts_and_docker_archives(start_registry, registry_binary, skopeo, tmp_path):
    registry = start_registry(registry_binary)
    index = images.oci_index()
    layout = images.write_oci_layout(index, tmp_path / "layout")
    archive = images.write_docker_archive(images.docker_image(), tmp_path / "image.tar")

    results = [
        skopeo.copy(layout, f"docker://{registry.address}/a:1"),
        skopeo.copy(archive, f"docker://{registry.address}/b:1"),
    ]

    assert [result.returncode for result in results] == [0, 0], results
    assert registry.repositories()["a"] == {"1": index.digest}
    assert json.loads(skopeo.tags(f"docker://{registry.address}/b").stdout)["Tags"] == ["1"]


def test_an_artifact_is_there_by_its_digest_alone(start_registry, registry_binary):
    registry = start_registry(registry_binary)
    image = images.oci_image()
    sbom = images.artifact(image)

    with RegistryClient(registry.address) as client:
        client.push(image, "team/app", "1")
        client.push(sbom, "team/app")
        answer = client.get_manifest("team/app", sbom.digest)

    assert answer.json()["subject"]["digest"] == image.digest
    assert registry.repositories() == {"team/app": {"1": image.digest}}


def test_skopeo_deletes(start_registry, registry_binary, skopeo, tmp_path):
    registry = start_registry(registry_binary)
    reference = f"docker://{registry.address}/team/app:1"
    skopeo.copy(images.write_dir(images.docker_image(), tmp_path / "image"), reference)

    deleted = skopeo.delete(reference)

    assert deleted.returncode == 0, deleted.stderr
    assert registry.repositories() == {}


def test_images_are_the_same_at_every_run():
    assert images.oci_index().digest == images.oci_index().digest
    assert images.docker_image("one").digest != images.docker_image("two").digest


def test_a_stopped_server_is_gone(start_registry, registry_binary):
    registry = start_registry(registry_binary)

    registry.stop()

    assert not registry.process.is_running
    with pytest.raises(httpx.ConnectError):
        httpx.get(registry.url)
    assert subprocess.run(["ps", "-p", str(registry.process.pid)], check=False, capture_output=True).returncode == 1
