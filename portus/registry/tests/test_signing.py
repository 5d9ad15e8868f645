"""Keys and what they sign, looked at with the public key as a registry would."""

import base64
import json
import stat
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from portus.registry import signing
from portus.registry.models import TokenKeyHeader
from portus.registry.signing import SigningError

# Their ids were computed with openssl and base32, not with the code under test.
EC_KEY = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEd1e8U6dXJFUrWmfEP2xUfcsFM05k
ZnKumB5qxl1le5RFof2ypPV81dnQlLWZzXadZ7RViz2uqTb0cfvV4sMREQ==
-----END PUBLIC KEY-----
"""
EC_LIBTRUST = "62ER:6D4T:GUWH:F4JX:B2T4:XE6X:Z2VB:VEUP:FSJG:UXPF:CDGP:CFZR"
EC_THUMBPRINT = "LaWZO5DhnxiRsBLt3hqEm2Yu0EP0ct6q1bbKrcGxb_g"
RSA_KEY = b"""-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqpjEfkr+3yAucXzCUVa4
HXSnlT+L5eoov8tnKsm/mFJAgGGGMXY2HmwKeweebPh3T3GdvNFMHSprFu9Mv7aD
sKQy9KPMQDcDMNHhdGvwn2NBrzBw3cfZQfCNCCBbXhxchMFCG+bE9D1vxmJHG0Vg
IQIEPmGQPjmnCo/G/rrQNHSZSVtvp+K4/GLUym3x89SjOzHV1JRrR9h2aQXXU86j
LlQ63G1MPpTH2t1xO+91ByKM4jzK8wccNsRlHwu9KB4z9wvQiGm3eRqQ36n5KPmh
NH0JIvJV6EXoc/z2Mv3+hAx8QBAmchQ8eVi0CzvEH7vB/vl7nnTr+lrtiZsBXoJK
+QIDAQAB
-----END PUBLIC KEY-----
"""
RSA_LIBTRUST = "LHY7:IPEY:LSSP:L4KS:MMIF:2KR2:UUIJ:4CXY:O73K:LWGS:C6NJ:B6X6"
# The key of RFC 7638, section 3.1, and its thumbprint.
RFC_MODULUS = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
    "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
    "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
    "nqDKgw"
)
RFC_THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

CLAIMS = {"iss": "portus.test.lan", "sub": "alice", "aud": "registry.test:5000", "access": []}


@pytest.fixture
def use(settings):
    """Return a function that sets options of the group `runtime`."""

    def change(**values):
        runtime = settings.PORTUS.runtime.model_copy(update=values)
        settings.PORTUS = settings.PORTUS.model_copy(update={"runtime": runtime})

    return change


@pytest.fixture
def folder(tmp_path, use):
    use(data=tmp_path, key_path=None, key_certificate_path=None)
    signing.make_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def impatient(monkeypatch):
    """Have the files looked at with every token."""
    monkeypatch.setattr(signing, "LOOK_AGAIN_SECONDS", 0)


def certificate(folder, name):
    return x509.load_pem_x509_certificate((folder / name).read_bytes())


def write_key(path, key, encryption=None):
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))
    return path


def head(token):
    return jwt.get_unverified_header(token)


def test_the_key_ids_are_those_of_the_registries():
    ec_key, rsa_key = load_pem_public_key(EC_KEY), load_pem_public_key(RSA_KEY)
    modulus = int.from_bytes(base64.urlsafe_b64decode(RFC_MODULUS + "=="), "big")

    assert signing.key_id_libtrust(ec_key) == EC_LIBTRUST
    assert signing.key_id_libtrust(rsa_key) == RSA_LIBTRUST
    assert signing.key_id_rfc7638(ec_key) == EC_THUMBPRINT
    assert signing.key_id_rfc7638(rsa.RSAPublicNumbers(65537, modulus).public_key()) == RFC_THUMBPRINT


@pytest.mark.parametrize("header", TokenKeyHeader.values)
def test_a_token_is_verified_with_the_public_key(folder, header):
    token = signing.sign(CLAIMS, header)

    public_key = certificate(folder, "signing.crt").public_key()
    assert jwt.decode(token, public_key, algorithms=["ES256"], audience="registry.test:5000") == CLAIMS


def test_each_header_names_the_key_in_its_own_way(folder):
    leaf = certificate(folder, "signing.crt")
    libtrust, thumbprint = signing.key_id_libtrust(leaf.public_key()), signing.key_id_rfc7638(leaf.public_key())
    chain = [base64.b64encode(leaf.public_bytes(Encoding.DER)).decode()]
    first = {"typ": "JWT", "alg": "ES256"}

    assert head(signing.sign(CLAIMS)) == {**first, "kid": libtrust, "x5c": chain}
    assert head(signing.sign(CLAIMS, "x5c")) == {**first, "kid": libtrust, "x5c": chain}
    assert head(signing.sign(CLAIMS, "libtrust")) == {**first, "kid": libtrust}
    assert head(signing.sign(CLAIMS, "rfc7638")) == {**first, "kid": thumbprint}


def test_the_jwk_set_has_the_key_under_both_ids(folder):
    public_key = certificate(folder, "signing.crt").public_key()

    keys = signing.jwks()["keys"]

    assert [key["kid"] for key in keys] == [signing.key_id_libtrust(public_key), signing.key_id_rfc7638(public_key)]
    for key in keys:
        assert jwt.PyJWK(key).key.public_numbers() == public_key.public_numbers()
        assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    json.dumps(keys)


def test_root_and_leaf_may_do_what_they_are_for_and_nothing_else(folder):
    root, leaf = certificate(folder, "root.crt"), certificate(folder, "signing.crt")

    leaf.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    root_usage = root.extensions.get_extension_for_class(x509.KeyUsage).value
    leaf_usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (root_usage.key_cert_sign, root_usage.digital_signature) == (True, False)
    assert (leaf_usage.key_cert_sign, leaf_usage.digital_signature) == (False, True)
    now = datetime.now(UTC)
    assert timedelta(days=3640) < root.not_valid_after_utc - now
    assert timedelta(days=364) < leaf.not_valid_after_utc - now < timedelta(days=366)


def test_private_keys_are_readable_by_nobody_else(folder):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("root.key", "signing.key"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["root.crt", "root.key", "signing.crt", "signing.key"]


def test_making_keys_again_changes_nothing(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    signing.make_keys(folder)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("lost", [["root.crt"], ["signing.crt"], ["signing.key"], ["signing.key", "signing.crt"]])
def test_a_start_that_was_cut_short_is_completed(folder, lost):
    for name in lost:
        (folder / name).unlink()

    signing.make_keys(folder)

    certificate(folder, "signing.crt").verify_directly_issued_by(certificate(folder, "root.crt"))
    assert signing.sign(CLAIMS)


def test_a_root_key_kept_elsewhere_is_missed_only_when_a_leaf_is_due(folder):
    (folder / "root.key").unlink()

    signing.make_keys(folder)

    with pytest.raises(SigningError, match=r"root\.key"):
        signing.rotate_leaf(folder)


def test_a_root_key_of_another_root_signs_no_leaf(folder):
    write_key(folder / "root.key", ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(SigningError, match="do not belong together"):
        signing.rotate_leaf(folder)


def test_a_new_leaf_is_used_without_a_restart(folder, impatient):
    old = head(signing.sign(CLAIMS))["kid"]

    signing.rotate_leaf(folder)

    token = signing.sign(CLAIMS)
    leaf = certificate(folder, "signing.crt")
    assert head(token)["kid"] == signing.key_id_libtrust(leaf.public_key()) != old
    leaf.verify_directly_issued_by(certificate(folder, "root.crt"))


def test_the_files_are_looked_at_once_a_second_at_most(folder, monkeypatch):
    signing.sign(CLAIMS)
    signing.rotate_leaf(folder)
    monkeypatch.setattr(signing._Files, "signature", lambda _files: pytest.fail("the files were looked at"))

    assert signing.sign(CLAIMS)


@pytest.mark.parametrize("damage", ["half a leaf", "no file", "another key"])
def test_a_leaf_that_is_half_replaced_leaves_the_old_one_in_use(folder, impatient, damage):
    old = head(signing.sign(CLAIMS))["kid"]

    if damage == "no file":
        (folder / "signing.crt").unlink()
    elif damage == "half a leaf":
        (folder / "signing.crt").write_bytes(b"-----BEGIN CERT")
    else:
        write_key(folder / "signing.key", ec.generate_private_key(ec.SECP256R1()))

    assert head(signing.sign(CLAIMS))["kid"] == old


def test_a_leaf_is_renewed_in_its_last_thirty_days_only(folder, monkeypatch):
    assert not signing.renew_leaf_if_due(folder)
    before = (folder / "signing.crt").read_bytes()

    monkeypatch.setattr(signing, "RENEW_BEFORE", timedelta(days=366))

    assert signing.renew_leaf_if_due(folder)
    assert (folder / "signing.crt").read_bytes() != before


def test_certificates_for_people(folder):
    found = signing.certificates()

    assert found.leaf == certificate(folder, "signing.crt")
    assert found.root == certificate(folder, "root.crt")
    assert found.bundle == folder / "root.crt"


# An operator's own key


def self_signed(key, path):
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "operator")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=5))
    path.write_bytes(built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return path


def test_an_rsa_key_signs_rs256_with_the_libtrust_id(tmp_path, use):
    key = rsa.generate_private_key(65537, 2048)
    use(key_path=write_key(tmp_path / "portus.key", key), key_certificate_path=None)

    for header in ("", "x5c", "libtrust"):
        token = signing.sign(CLAIMS, header)
        assert head(token) == {"typ": "JWT", "alg": "RS256", "kid": signing.key_id_libtrust(key.public_key())}
        assert jwt.decode(token, key.public_key(), algorithms=["RS256"], audience="registry.test:5000") == CLAIMS
    assert jwt.PyJWK(signing.jwks()["keys"][0]).key.public_numbers() == key.public_key().public_numbers()
    assert signing.certificates().leaf is None


def test_the_chain_of_an_operators_key_goes_into_the_head(tmp_path, use):
    key = ec.generate_private_key(ec.SECP256R1())
    use(
        key_path=write_key(tmp_path / "portus.key", key),
        key_certificate_path=self_signed(key, tmp_path / "portus.crt"),
    )

    token = signing.sign(CLAIMS)

    assert head(token)["alg"] == "ES256"
    assert len(head(token)["x5c"]) == 1
    assert signing.certificates().bundle == tmp_path / "portus.crt"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"nonsense", "not a private key in PEM format"),
        (b"", "not a private key in PEM format"),
        (rsa.generate_private_key(65537, 1024), "at least 2048 bits"),
        (ec.generate_private_key(ec.SECP384R1()), "EC key on P-256"),
        (ed25519.Ed25519PrivateKey.generate(), "EC key on P-256"),
        (None, "There is no"),
    ],
)
def test_a_key_that_cannot_be_used_is_said_in_a_sentence(tmp_path, use, content, sentence):
    path = tmp_path / "portus.key"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        write_key(path, content)
    use(key_path=path, key_certificate_path=None)

    with pytest.raises(SigningError, match=sentence):
        signing.sign(CLAIMS)


def test_a_key_behind_a_pass_phrase_is_said_in_a_sentence(tmp_path, use):
    key = ec.generate_private_key(ec.SECP256R1())
    use(key_path=write_key(tmp_path / "k", key, BestAvailableEncryption(b"x")), key_certificate_path=None)

    with pytest.raises(SigningError, match="pass phrase"):
        signing.sign(CLAIMS)


def test_a_certificate_of_another_key_is_said_in_a_sentence(tmp_path, use):
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    use(
        key_path=write_key(tmp_path / "k", key),
        key_certificate_path=self_signed(other, tmp_path / "c"),
    )

    with pytest.raises(SigningError, match="does not belong to the key"):
        signing.sign(CLAIMS)


def test_a_changed_token_does_not_verify(folder):
    content, _, signature = signing.sign(CLAIMS).rpartition(".")
    public_key = certificate(folder, "signing.crt").public_key()

    with pytest.raises((jwt.InvalidSignatureError, InvalidSignature)):
        jwt.decode(f"{content[:-2]}AA.{signature}", public_key, algorithms=["ES256"], audience="registry.test:5000")
