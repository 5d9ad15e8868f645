"""Our requests to registries, against real ones, and against servers that are no registries or bad ones."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from portus.registry import signing
from portus.registry.client import Challenge, RegistryClient, RegistryError
from portus.registry.models import Registry
from portus.tests.servers import images
from portus.tests.servers import registry as registries
from portus.tests.servers.client import RegistryClient as Pusher
from portus.tests.servers.ports import LOOPBACK

ISSUER = "portus.test.lan"
REALM = f"http://{LOOPBACK}:9"
QUIET = {"notifications": {"endpoints": []}}
DIGEST = f"sha256:{'a' * 64}"
EVERY_KIND = {
    "docker": images.docker_image("docker"),
    "oci": images.oci_image("oci", layers=2),
    "oci-index": images.oci_index("index"),
    "docker-list": images.docker_list("list"),
    "artifact": images.artifact(images.oci_image("oci", layers=2)),
}


def ask(address, *, use_ssl=False, external=None):
    return RegistryClient(Registry(name="it", hostname=address, use_ssl=use_ssl, external_hostname=external))


class Beside:
    """A registry that takes our tokens, and on the same storage one that asks for none, to push to."""

    def __init__(self, binary, folder):
        self.binary = binary
        self.folder = folder
        self.open = registries.start_registry(binary, folder / "open")
        self.started = [self.open]
        self.guarded = self.guard("guarded")
        with Pusher(self.open.address) as pusher:
            for image in EVERY_KIND.values():
                pusher.push(image, "team/app", None if image.subject else image.digest[7:19])
            for number in range(5):
                pusher.push(images.oci_image(), f"team/app{number}", "1")
                pusher.push(images.oci_image(), "tagged", f"v{number}")
            pusher.push(images.oci_image("alone"), "untagged")

    def guard(self, name, *, root=None, issuer=ISSUER, service=None):
        running = registries.start_registry(
            self.binary,
            self.folder / name,
            portus_url=REALM,
            issuer=issuer,
            root_certificate=root or signing.keys_folder() / "root.crt",
            service=service,
            extra={**QUIET, "storage": {"filesystem": {"rootdirectory": str(self.open.storage)}}},
        )
        self.started.append(running)
        return running

    def stop(self):
        for running in self.started:
            running.stop()


@pytest.fixture(scope="module")
def beside(registry_binary, prepared_data, tmp_path_factory):
    both = Beside(registry_binary, tmp_path_factory.mktemp("beside"))
    yield both
    both.stop()


@pytest.fixture
def client(beside):
    return ask(beside.guarded.address)


# A registry as it should be


def test_ping_tells_where_a_registry_sends_its_clients(beside, client):
    challenge = client.ping()

    assert challenge == Challenge(f"{REALM}/v2/token", beside.guarded.service)
    assert abs(timezone.now() - challenge.answered_at) < timedelta(seconds=5)


def test_ping_of_a_registry_without_authentication_is_an_empty_challenge(beside):
    assert ask(beside.open.address).ping() == Challenge("", "")


def test_it_takes_our_tokens(client):
    client.check_token()


def test_the_external_name_may_be_the_service(beside):
    hub = beside.guard("hub", service="hub.example")

    ask(hub.address, external="hub.example").check_token()
    assert sorted(ask(hub.address, external="hub.example").tags("tagged")) == [f"v{number}" for number in range(5)]


def test_any_other_service_gets_no_tokens_made(beside):
    other = beside.guard("other", service="other.example")

    for external in (None, "hub.example"):
        with pytest.raises(RegistryError, match=r'calls itself "other\.example" \(auth\.token\.service\)'):
            ask(other.address, external=external).check_token()


@pytest.mark.parametrize("size", [1, 2, 6, 7, 100])
def test_the_catalog_comes_complete_in_pages_of_any_size(client, configure, size):
    configure(**{"registry.catalog_page.value": size})

    assert list(client.catalog()) == ["tagged", "team/app", *(f"team/app{number}" for number in range(5)), "untagged"]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_tags_come_complete_in_pages_of_any_size(client, configure, size):
    configure(**{"registry.catalog_page.value": size})

    assert sorted(client.tags("tagged")) == [f"v{number}" for number in range(5)]


def test_a_repository_that_is_not_there_has_no_tags(client):
    assert list(client.tags("team/unknown")) == []


@pytest.mark.parametrize(("name", "there"), [("team/app", True), ("tagged", True), ("team", False), ("nothing", False)])
def test_has_repository(client, name, there):
    assert client.has_repository(name) is there


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_manifest_of_every_kind_by_digest(client, kind):
    image = EVERY_KIND[kind]

    stored = client.manifest("team/app", image.digest)

    assert (stored.digest, stored.media_type) == (image.digest, image.media_type)
    assert stored.content == json.loads(image.manifest.data)
    assert stored.length == image.manifest.size
    assert client.head_manifest("team/app", image.digest) == image.digest


@pytest.mark.parametrize("kind", ["docker", "oci", "oci-index", "docker-list"])
def test_a_manifest_of_every_kind_by_tag(client, kind):
    image = EVERY_KIND[kind]
    tag = image.digest[7:19]

    assert client.manifest("team/app", tag).digest == image.digest
    assert client.head_manifest("team/app", tag) == image.digest


def test_a_configuration(client):
    image = EVERY_KIND["docker"]

    assert client.blob("team/app", image.config.digest) == json.loads(image.config.data)
    assert client.blob("team/app", DIGEST) is None


@pytest.mark.parametrize("reference", ["unknown", DIGEST])
@pytest.mark.parametrize("repository", ["team/app", "team/unknown", "unknown", "registry.test/team/app"])
def test_a_manifest_that_is_not_there(client, repository, reference):
    assert client.head_manifest(repository, reference) is None
    assert client.manifest(repository, reference) is None


def what_is_behind(client, repository, reference):
    return [
        client.head_manifest(repository, reference),
        client.manifest(repository, reference),
        client.blob(repository, reference),
    ]


def what_is_in(client, repository):
    return [next(client.tags(repository), None), client.has_repository(repository)]


@pytest.mark.parametrize(
    "name",
    ["a", "0", "a_b", "a__b", "a---b", "a.b", "a/b/c/d", "localhost/a", "Registry.Test/a", "Team/app", "a" * 255],
)
def test_a_registry_knows_every_name_that_we_ask_for(client, name):
    assert what_is_behind(client, name, "latest") == [None] * 3
    assert what_is_behind(client, name, DIGEST) == [None] * 3
    assert what_is_in(client, name) == [None, False]


# Registries that do not trust us


def test_another_root_certificate(beside, tmp_path):
    signing.make_keys(tmp_path)
    other = beside.guard("other-root", root=tmp_path / "root.crt")

    with pytest.raises(RegistryError, match="does not accept our tokens: its issuer, its rootcertbundle or its clock"):
        ask(other.address).check_token()


def test_another_issuer(beside):
    other = beside.guard("other-issuer", issuer="somebody.else")

    with pytest.raises(RegistryError, match="does not accept our tokens: its issuer, its rootcertbundle or its clock"):
        list(ask(other.address).catalog())
