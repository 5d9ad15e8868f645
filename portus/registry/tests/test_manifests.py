"""What the catalogue learns from a manifest: from real registries, and from content that breaks the rules."""

import json
from itertools import pairwise

import pytest

from portus.registry import manifests
from portus.registry.client import RegistryClient, StoredManifest
from portus.registry.manifests import BIGGEST, Child, describe
from portus.registry.models import Registry
from portus.tests.servers import images
from portus.tests.servers.client import RegistryClient as Pusher
from portus.tests.servers.images import AMD64, ARM64, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Blob, Image

IN_TOTO = "application/vnd.in-toto+json"


def client_of(address):
    return RegistryClient(Registry(name="it", hostname=address, use_ssl=False))


@pytest.fixture
def described(start_registry, registry_binary):
    """Push something to a registry, change it perhaps, and describe what it has then."""
    registry = start_registry(registry_binary)

    def describe_pushed(image, *, without=()):
        with Pusher(registry.address) as pusher:
            if image.subject:
                pusher.push(image.subject, "team/app")
            pusher.push(image, "team/app")
            for gone in without:
                assert pusher.delete_manifest("team/app", gone.digest).status_code == 202
        client = client_of(registry.address)
        return describe(client, "team/app", client.manifest("team/app", image.digest))

    return describe_pushed


def child_of(image, platform=None):
    return Child(image.digest, image.media_type, platform or image.platform, image.size)


def an_index(*children, media_type=OCI_INDEX, **more):
    """An index of (image, fields of its descriptor)."""
    entries = [child.manifest.descriptor(**fields) for child, fields in children]
    body = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries, **more}
    return Image(Blob(media_type, json.dumps(body).encode()), children=tuple(child for child, _ in children))


def a_platform(name):
    return {"platform": dict(zip(("os", "architecture", "variant"), name.split("/"), strict=False))}


def an_attestation(subject):
    """What buildx attaches to an index: it looks like an image, for a platform that is none."""
    config = Blob(OCI_CONFIG, json.dumps({"os": "unknown", "architecture": "unknown"}).encode())
    layer = Blob(IN_TOTO, json.dumps({"subject": subject.digest}).encode())
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    }
    return Image(Blob(OCI_MANIFEST, json.dumps(body).encode()), config, (layer,))


# Real ones


@pytest.mark.parametrize(
    "image",
    [images.docker_image(layers=2), images.oci_image(platform=ARM64)],
    ids=["docker", "oci"],
)
def test_an_image(described, image):
    facts = described(image)

    assert (facts.digest, facts.media_type) == (image.digest, image.media_type)
    assert facts.size == image.size
    assert facts.platforms == (image.platform,)
    assert facts.config_digest == image.config.digest
    assert (facts.artifact_type, facts.subject_digest, facts.children) == ("", "", ())


@pytest.mark.parametrize("index", [images.oci_index(), images.docker_list()], ids=["oci", "docker"])
def test_an_index(described, index):
    facts = described(index)

    assert (facts.digest, facts.media_type) == (index.digest, index.media_type)
    assert facts.platforms == (AMD64, ARM64)
    assert facts.children == tuple(child_of(child) for child in index.children)
    assert facts.size == sum(child.size for child in index.children)
    assert (facts.artifact_type, facts.config_digest, facts.subject_digest) == ("", "", "")


def test_an_artifact_with_a_subject(described):
    image = images.oci_image()
    sbom = images.artifact(image, "what is in it")

    facts = described(sbom)

    assert facts.artifact_type == images.SPDX
    assert facts.subject_digest == image.digest
    assert facts.size == sbom.size
    assert facts.platforms == ()


def test_an_artifact_that_only_its_configuration_tells(described):
    config = Blob("application/vnd.cncf.helm.config.v1+json", b'{"name": "chart"}')
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.descriptor(), "layers": []}

    facts = described(Image(Blob(OCI_MANIFEST, json.dumps(body).encode()), config))

    assert facts.artifact_type == config.media_type
    assert facts.size == config.size
    assert facts.platforms == ()


def test_an_index_with_attestations(described):
    image = images.oci_image()
    attestation = an_attestation(image)

    facts = described(an_index((image, a_platform(AMD64)), (attestation, a_platform("unknown/unknown"))))

    assert facts.platforms == (AMD64,)
    assert facts.children == (child_of(image), child_of(attestation, "unknown/unknown"))
    assert facts.size == image.size + attestation.size


def test_an_attestation_itself_has_no_platform(described):
    assert described(an_attestation(images.oci_image())).platforms == ()


def test_an_index_of_which_a_child_is_gone(described):
    index = images.oci_index()
    there, gone = index.children

    facts = described(index, without=[gone])

    assert facts.platforms == (AMD64, ARM64)
    assert facts.children == (child_of(there), Child(gone.digest, gone.media_type, ARM64, None))
    assert facts.size == there.size


def test_an_index_in_an_index(described):
    inner = images.oci_index()
    image = images.oci_image(platform="linux/s390x")

    facts = described(an_index((inner, {}), (image, a_platform("linux/s390x"))))

    size = sum(child.size for child in inner.children)
    assert facts.platforms == (AMD64, ARM64, "linux/s390x")
    assert facts.children == (
        Child(inner.digest, OCI_INDEX, "", size, (AMD64, ARM64)),
        child_of(image),
    )
    assert facts.size == size + image.size


def test_a_child_that_is_listed_twice_counts_once(described):
    image = images.oci_image()

    facts = described(an_index((image, a_platform(AMD64)), (image, a_platform(ARM64))))

    assert facts.children == (child_of(image),)
    assert facts.size == image.size


def test_an_image_whose_configuration_is_no_json(described):
    config = Blob(OCI_CONFIG, b"nothing of the kind")
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.descriptor(), "layers": []}

    facts = described(Image(Blob(OCI_MANIFEST, json.dumps(body).encode()), config))

    assert facts.platforms == ()
    assert facts.size == config.size


# Content that breaks the specification gives less, never an error

HASH = f"sha256:{'a' * 64}"
ODD = [None, 0, 1, True, -1, 1.5, "", "text", "\ud800", "a\0b", [], [None], [[]], {}, {"a": 1}, 10**400, "x" * 1000]


@pytest.fixture
def told(serve):
    """Describe a manifest with this content; whatever else is asked for is `others`, by its digest."""

    known = {}

    def answer(path):
        found = known.get(path.rpartition("/")[2])
        if found is None:
            return 404, {}, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}'
        return 200, {}, json.dumps(found).encode()

    client = client_of(serve(answer).address)

    def describe_told(content, media_type="", others=None):
        known.clear()
        known.update(others or {})
        return describe(client, "app", StoredManifest(HASH, media_type, content, 10))

    return describe_told


@pytest.mark.parametrize(
    "path",
    [
        ("mediaType",),
        ("artifactType",),
        ("config",),
        ("config", "mediaType"),
        ("config", "digest"),
        ("config", "size"),
        ("layers",),
        ("layers", 0),
        ("layers", 0, "digest"),
        ("layers", 0, "size"),
        ("subject",),
        ("subject", "digest"),
    ],
    ids=str,
)
def test_an_image_with_something_odd_in_it(told, path):
    for odd in ODD:
        content = {
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": HASH, "size": 5},
            "layers": [{"digest": f"sha256:{'b' * 64}", "size": 7}],
            "subject": {"digest": HASH},
        }
        put(content, path, odd)

        assert_storable(told(content, OCI_MANIFEST, {HASH: {"os": "linux", "architecture": "amd64"}}))


@pytest.mark.parametrize(
    "path",
    [
        ("mediaType",),
        ("manifests",),
        ("manifests", 0),
        ("manifests", 0, "digest"),
        ("manifests", 0, "mediaType"),
        ("manifests", 0, "platform"),
        ("manifests", 0, "platform", "os"),
        ("manifests", 0, "platform", "variant"),
        ("subject",),
    ],
    ids=str,
)
def test_an_index_with_something_odd_in_it(told, path):
    for odd in ODD:
        content = {
            "mediaType": OCI_INDEX,
            "manifests": [{"mediaType": OCI_MANIFEST, "digest": HASH, **a_platform(AMD64)}],
        }
        put(content, path, odd)

        assert_storable(told(content, OCI_INDEX, {HASH: {"layers": [{"digest": "x", "size": 7}]}}))


@pytest.mark.parametrize("field", ["os", "architecture", "variant"])
def test_a_configuration_with_something_odd_in_it(told, field):
    content = {"config": {"mediaType": OCI_CONFIG, "digest": HASH, "size": 5}}
    for odd in ODD:
        configuration = {"os": "linux", "architecture": "amd64", field: odd}

        assert_storable(told(content, OCI_MANIFEST, {HASH: configuration}))


def put(content, path, value):
    *way, last = path
    for step in way:
        content = content[step]
    content[last] = value


def assert_storable(facts):
    assert facts.digest == HASH
    texts = [facts.media_type, facts.artifact_type, facts.config_digest, facts.subject_digest, *facts.platforms]
    texts += [text for child in facts.children for text in (child.digest, child.media_type, child.platform)]
    assert all(isinstance(text, str) and text.isprintable() and len(text) <= 255 for text in texts), texts
    assert all(len(platform) <= 64 for platform in facts.platforms)
    sizes = [facts.size, *(child.size for child in facts.children)]
    assert all(size is None or (type(size) is int and 0 <= size <= BIGGEST) for size in sizes), sizes


SIZES = [
    ([5, 7], 12),
    ([0], 0),
    ([], None),
    ([5, -7], 5),
    ([5, "7"], 5),
    ([BIGGEST], BIGGEST),
    ([BIGGEST, 1], None),
    ([2**70], None),
]


@pytest.mark.parametrize(("sizes", "total"), SIZES)
def test_the_sum_of_sizes(told, sizes, total):
    layers = [{"digest": f"sha256:{number:064}", "size": size} for number, size in enumerate(sizes)]

    assert told({"config": {}, "layers": layers}, OCI_MANIFEST).size == total


def test_a_layer_that_is_used_twice_lies_there_once(told):
    layer = {"digest": HASH, "size": 7}

    assert told({"config": {}, "layers": [layer, layer]}, OCI_MANIFEST).size == 7


def test_sizes_of_children_that_are_nonsense(told):
    hashes = [f"sha256:{number:064}" for number in range(2)]
    entries = [{"mediaType": OCI_MANIFEST, "digest": each} for each in hashes]
    others = {each: {"layers": [{"digest": each, "size": BIGGEST}]} for each in hashes}

    assert told({"manifests": entries}, OCI_INDEX, others).size is None


def test_what_an_index_has_beyond_200_children_is_known_but_not_looked_at(told, monkeypatch):
    monkeypatch.setattr(manifests, "MOST_LOOKED_AT", 3)
    hashes = [f"sha256:{number:064}" for number in range(5)]
    others = {each: {"layers": [{"digest": each, "size": 7}]} for each in hashes}

    facts = told({"manifests": [{"digest": each} for each in hashes]}, OCI_INDEX, others)

    assert [child.digest for child in facts.children] == hashes
    assert [child.size for child in facts.children] == [7, 7, 7, None, None]


def test_indexes_in_indexes_end_somewhere(told):
    hashes = [f"sha256:{number:064}" for number in range(30)]
    others = {each: {"manifests": [{"digest": inner}]} for each, inner in pairwise(hashes)}

    facts = told({"manifests": [{"digest": hashes[0]}]}, OCI_INDEX, others)

    assert [child.digest for child in facts.children] == [hashes[0]]
    assert facts.size is None


def test_an_index_that_branches_is_not_followed_everywhere(serve):
    def answer(path):
        here = int(path.rpartition(":")[2], 16)
        inner = [{"digest": f"sha256:{1000 * (here + 1) + number:064x}"} for number in range(100)]
        return 200, {}, json.dumps({"manifests": inner}).encode()

    server = serve(answer)
    content = {"manifests": [{"digest": f"sha256:{number:064x}"} for number in range(100)]}

    facts = describe(client_of(server.address), "app", StoredManifest(HASH, OCI_INDEX, content, 10))

    assert len(server.asked) == 200
    assert len(facts.children) == 100


@pytest.mark.parametrize(
    ("content", "media_type", "kind"),
    [
        ({"manifests": []}, "", "index"),
        ({"manifests": [], "config": {}}, "", "image"),
        ({"manifests": [], "config": {}}, OCI_INDEX, "index"),
        ({"mediaType": OCI_INDEX, "manifests": [{"digest": HASH}]}, OCI_MANIFEST, "index"),
        ({"layers": [{"digest": HASH, "size": 7}]}, OCI_MANIFEST, "image"),
    ],
)
def test_what_kind_it_is(told, content, media_type, kind):
    facts = told(content, media_type)

    assert facts.media_type == content.get("mediaType", media_type)
    assert len(facts.children) == (len(content["manifests"]) if kind == "index" else 0)


@pytest.mark.parametrize(
    ("architecture", "platforms"),
    [("amd64", ("linux/amd64",)), (None, ()), ("a\0", ()), ("x" * 100, ("linux/" + "x" * 58,))],
)
def test_schema_1(told, architecture, platforms):
    content = {
        "schemaVersion": 1,
        "name": "app",
        "tag": "1",
        "architecture": architecture,
        "fsLayers": [],
        "history": [],
    }

    facts = told(content, "application/vnd.docker.distribution.manifest.v1+prettyjws")

    assert facts.media_type == "application/vnd.docker.distribution.manifest.v1+prettyjws"
    assert facts.platforms == platforms
    assert (facts.size, facts.children, facts.config_digest) == (None, (), "")
