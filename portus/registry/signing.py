"""The keys that sign registry tokens: kept as objects, named as each generation of registries names keys.

Ours are `root` and `signing` below `$PORTUS_DATA/keys`: the registry trusts the root, the leaf signs, so that a new
leaf needs no restart of the registry. An operator's own key (`PORTUS_KEY_PATH`) is used as it is.
Sources: distribution's `spec/auth/jwt` and `registry/auth/token`; libtrust's key ids; RFC 7515 (x5c), 7517, 7638.
"""

import base64
import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from django.conf import settings
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from portus.config.options import Runtime
from portus.registry.models import TokenKeyHeader

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

ROOT_LIFE = timedelta(days=3652)
LEAF_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
CLOCK_SLACK = timedelta(days=1)  # a registry whose clock is behind accepts a certificate that was just made
SMALLEST_RSA_KEY = 2048  # bits
LOOK_AGAIN_SECONDS = 1.0
NOT_BEFORE_SLACK = 5  # seconds that our clock may be ahead of the registry's


class SigningError(Exception):
    """The key or its certificates cannot be used. The text says which file, and what to do."""


@dataclass(frozen=True)
class Certificates:
    """What the tokens are signed with: the leaf, and the certificate that a registry has to trust."""

    leaf: x509.Certificate | None
    root: x509.Certificate | None
    bundle: Path | None  # the file for `rootcertbundle`


@dataclass(frozen=True)
class _Keys:
    private: PrivateKey
    chain: tuple[x509.Certificate, ...]
    algorithm: ECAlgorithm | RSAAlgorithm
    headers: Mapping[str, bytes]  # the encoded head of a token, by TokenKeyHeader

    @property
    def public(self) -> PublicKey:
        return self.private.public_key()


@dataclass(frozen=True)
class _Files:
    """Where a key and its chain are; `signature` changes when one of the files does."""

    key: Path
    chain: Path | None

    def signature(self) -> tuple[tuple[int, int, int], ...]:
        paths = (self.key, self.chain) if self.chain else (self.key,)
        return tuple((found.st_ino, found.st_mtime_ns, found.st_size) for found in map(os.stat, paths))


class _Cache:
    """The keys as they were last read. Files are looked at once a second at most; a leaf half replaced is not taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: _Keys | None = None
        self._runtime: Runtime | None = None
        self._signature: object = None
        self._look_again_at = 0.0

    def get(self) -> _Keys:
        runtime = settings.PORTUS.runtime
        keys = self._keys
        if keys and self._runtime is runtime and time.monotonic() < self._look_again_at:
            return keys
        with self._lock:
            return self._refreshed(runtime)

    def _refreshed(self, runtime: Runtime) -> _Keys:
        usable = self._keys if self._runtime is runtime else None
        files = _files(runtime)
        try:
            signature = files.signature()
            if usable is None or signature != self._signature:
                usable = _load_patiently(files)
                self._signature = signature
        except OSError as error:
            if usable is None:
                raise _unreadable(error) from error
        except SigningError:
            if usable is None:
                raise
        self._keys, self._runtime = usable, runtime
        self._look_again_at = time.monotonic() + LOOK_AGAIN_SECONDS
        return usable


_cache = _Cache()


def claims(*, subject: str, audience: str, access: list[dict[str, object]] | None, seconds: int) -> dict[str, Any]:
    """Return what a token says that is good for `seconds`. `access` is left out when it is None: a login."""
    now = int(time.time())
    said: dict[str, Any] = {
        "iss": settings.PORTUS.machine_fqdn.value,
        "sub": subject,
        "aud": audience,
        "iat": now,
        "nbf": now - NOT_BEFORE_SLACK,
        "exp": now + seconds,
        "jti": secrets.token_hex(16),
    }
    return said if access is None else {**said, "access": access}


def sign(said: Mapping[str, object], header: str = TokenKeyHeader.AUTOMATIC) -> str:
    """Return the claims as a signed token whose head names the key as `header` (a TokenKeyHeader) says.

    `x5c` without a chain falls back to `libtrust`. Raises SigningError when there is no usable key.
    """
    keys = _cache.get()
    content = keys.headers[header] + b"." + _base64url(json.dumps(said, separators=(",", ":")).encode())
    # The two algorithms want each their own kind of key, which `_load` has put together.
    signature = keys.algorithm.sign(content, keys.private)  # type: ignore[arg-type]
    return (content + b"." + _base64url(signature)).decode()


def jwks() -> dict[str, list[dict[str, Any]]]:
    """Return the public key as a JWK set, once under each of its two ids."""
    keys = _cache.get()
    key = {**_jwk(keys.public), "use": "sig", "alg": _algorithm_name(keys.private)}
    return {"keys": [{**key, "kid": kid} for kid in (key_id_libtrust(keys.public), key_id_rfc7638(keys.public))]}


def key_id_libtrust(public_key: PublicKey) -> str:
    """Return the id that distribution 2.x computes: 240 bits of a hash in twelve groups of four letters."""
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return ":".join(text[start : start + 4] for start in range(0, len(text), 4))


def key_id_rfc7638(public_key: PublicKey) -> str:
    """Return the id that distribution 3.x computes: the thumbprint of the key's JWK."""
    canonical = json.dumps(_jwk(public_key), separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest()).decode()


def certificates() -> Certificates:
    """Return the certificates in use; all are None for an operator's key without a certificate. Raises SigningError."""
    chain = _cache.get().chain
    runtime = settings.PORTUS.runtime
    if runtime.key_path:
        return Certificates(chain[0] if chain else None, chain[-1] if chain else None, runtime.key_certificate_path)
    bundle = keys_folder() / "root.crt"
    try:
        root = x509.load_pem_x509_certificate(bundle.read_bytes())
    except OSError as error:
        raise _unreadable(error) from error
    except ValueError as error:
        raise SigningError(f"{bundle} is not a certificate; restore it from a backup.") from error
    return Certificates(chain[0], root, bundle)


def keys_folder() -> Path:
    """Return where our own keys are."""
    return settings.PORTUS.runtime.data / "keys"


def make_keys(folder: Path) -> None:
    """Make root and leaf where they are missing; what is there is kept, so a start that was cut short is repeatable.

    A root of which only the certificate is left (its key is kept elsewhere) is no mistake while the leaf is good.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root_key, root_certificate = folder / "root.key", folder / "root.crt"
    if not root_certificate.exists():
        private = _private_key(root_key) if root_key.exists() else _new_key(root_key)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise SigningError(f"{root_key} is not a P-256 key; remove it, and a new one is made.")
        _write(root_certificate, _root_certificate(private).public_bytes(Encoding.PEM), mode=0o644)
    if not _leaf_is_usable(folder):
        rotate_leaf(folder)


def rotate_leaf(folder: Path) -> None:
    """Replace the signing key and its certificate, under the same root."""
    root_key, root_certificate = folder / "root.key", folder / "root.crt"
    root = _certificates_in(root_certificate)[0]
    if not root_key.exists():
        raise SigningError(
            f"There is no {root_key}, which signs new keys: restore it from a backup; or remove {root_certificate}, "
            "and `portus migrate` or `portus up` makes both anew, which each registry must then trust."
        )
    root_private = _private_key(root_key)
    if root_private.public_key() != root.public_key():
        raise SigningError(f"{root_key} and {root_certificate} do not belong together; restore both from one backup.")
    if not isinstance(root_private, ec.EllipticCurvePrivateKey):
        raise SigningError(f"{root_key} is not a P-256 key.")
    private = ec.generate_private_key(ec.SECP256R1())
    certificate = _leaf_certificate(private.public_key(), root, root_private)
    # Two files cannot be replaced at once: who reads in between sees that they do not match, and reads again.
    _write(folder / "signing.key", _pem(private), mode=0o600)
    _write(folder / "signing.crt", certificate.public_bytes(Encoding.PEM), mode=0o644)


def renew_leaf_if_due(folder: Path) -> bool:
    """Replace the leaf when it ends within 30 days; return whether it was replaced."""
    leaf = _certificates_in(folder / "signing.crt")[0]
    if leaf.not_valid_after_utc - datetime.now(UTC) > RENEW_BEFORE:
        return False
    rotate_leaf(folder)
    return True


def _files(runtime: Runtime) -> _Files:
    if runtime.key_path:
        return _Files(runtime.key_path, runtime.key_certificate_path)
    folder = keys_folder()
    return _Files(folder / "signing.key", folder / "signing.crt")


def _load_patiently(files: _Files) -> _Keys:
    try:
        return _load(files)
    except SigningError:
        time.sleep(0.05)  # a leaf that is being replaced: see rotate_leaf
        return _load(files)


def _load(files: _Files) -> _Keys:
    private = _private_key(files.key)
    chain = _certificates_in(files.chain) if files.chain else ()
    if chain and chain[0].public_key() != private.public_key():
        raise SigningError(f"The first certificate in {files.chain} does not belong to the key {files.key}.")
    algorithm: ECAlgorithm | RSAAlgorithm
    if isinstance(private, rsa.RSAPrivateKey):
        algorithm = RSAAlgorithm(RSAAlgorithm.SHA256)
    else:
        algorithm = ECAlgorithm(ECAlgorithm.SHA256)
    return _Keys(private, chain, algorithm, _headers(private, chain))


def _headers(private: PrivateKey, chain: tuple[x509.Certificate, ...]) -> dict[str, bytes]:
    """Return the encoded head of a token for each way of naming the key."""
    public = private.public_key()
    libtrust = {"kid": key_id_libtrust(public)}
    with_chain = libtrust
    if chain:
        der = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode() for certificate in chain]
        with_chain = {**libtrust, "x5c": der}  # type: ignore[dict-item]
    heads: dict[str, dict[str, str]] = {
        TokenKeyHeader.AUTOMATIC: with_chain,
        TokenKeyHeader.X5C: with_chain,
        TokenKeyHeader.LIBTRUST: libtrust,
        TokenKeyHeader.RFC7638: {"kid": key_id_rfc7638(public)},
    }
    first = {"typ": "JWT", "alg": _algorithm_name(private)}
    return {
        str(name): _base64url(json.dumps({**first, **head}, separators=(",", ":")).encode())
        for name, head in heads.items()
    }


def _algorithm_name(private: PrivateKey) -> str:
    return "RS256" if isinstance(private, rsa.RSAPrivateKey) else "ES256"


def _jwk(public_key: PublicKey) -> dict[str, str]:
    """Return the members of a JWK that say which key it is, and no other: its thumbprint is made of them."""
    if isinstance(public_key, rsa.RSAPublicKey):
        numbers = public_key.public_numbers()
        return {"kty": "RSA", "n": _base64url_number(numbers.n), "e": _base64url_number(numbers.e)}
    point = public_key.public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _base64url_number(point.x, 32), "y": _base64url_number(point.y, 32)}


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _base64url_number(number: int, length: int = 0) -> str:
    return _base64url(number.to_bytes(length or (number.bit_length() + 7) // 8, "big")).decode()


def _private_key(path: Path) -> PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise _unreadable(error) from error
    except TypeError as error:
        raise SigningError(f"{path} is protected by a pass phrase; give Portus one that is not.") from error
    except ValueError as error:
        raise SigningError(f"{path} is not a private key in PEM format.") from error
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= SMALLEST_RSA_KEY:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise SigningError(f"{path} must be an RSA key of at least {SMALLEST_RSA_KEY} bits or an EC key on P-256.")


def _certificates_in(path: Path) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except OSError as error:
        raise _unreadable(error) from error
    except ValueError as error:
        raise SigningError(f"{path} holds no certificate in PEM format.") from error


def _unreadable(error: OSError) -> SigningError:
    if isinstance(error, FileNotFoundError):
        return SigningError(f"There is no {error.filename}; `portus up` and `portus migrate` make the keys.")
    return SigningError(f"{error.filename} cannot be read ({error.strerror}).")


def _leaf_is_usable(folder: Path) -> bool:
    try:
        _load(_Files(folder / "signing.key", folder / "signing.crt"))
    except SigningError:
        return False
    return True


def _new_key(path: Path) -> ec.EllipticCurvePrivateKey:
    private = ec.generate_private_key(ec.SECP256R1())
    _write(path, _pem(private), mode=0o600)
    return private


def _pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file so that nobody ever sees half of it, and nobody else a private key."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _root_certificate(private: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Portus token root")])
    public = private.public_key()
    return (
        _builder(name, name, public, ROOT_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .sign(private, hashes.SHA256())
    )


def _leaf_certificate(
    public: ec.EllipticCurvePublicKey, root: x509.Certificate, root_private: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Portus token signing")])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_private.public_key())
    return (
        _builder(name, root.subject, public, LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(authority, critical=False)
        .sign(root_private, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    """A root signs certificates, a leaf signs tokens; neither does the other's work."""
    return x509.KeyUsage(
        digital_signature=not certificates, key_cert_sign=certificates, crl_sign=certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
