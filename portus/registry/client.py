"""All our requests to a registry. Each carries a token that we sign ourselves, so nothing calls our own address.

Sources: the OCI distribution specification; distribution's `spec/api` and `spec/auth/token`.
"""

import hashlib
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from threading import Lock
from typing import Any

import httpx
from django.conf import settings

from portus.registry import signing
from portus.registry.failures import TooLongError, what_to_mend
from portus.registry.models import Registry

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPT = ", ".join(
    (
        OCI_INDEX,
        DOCKER_LIST,
        OCI_MANIFEST,
        DOCKER_MANIFEST,
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.docker.distribution.manifest.v1+json",
    )
)
BIGGEST_DOCUMENT = 4 * 1024 * 1024  # bytes; what registries take as a manifest at most
BIGGEST_LIST = 64 * 1024 * 1024  # bytes; distribution 2.x sends all tags of a repository in one piece
TOKEN_SECONDS = 300
LONGEST_NUMBER = 30  # digits
NOT_THERE = frozenset(
    {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN", "NAME_INVALID", "TAG_INVALID", "DIGEST_INVALID"}
)
PULL = ("pull",)
DIGEST_HEADER = "Docker-Content-Digest"
SPEAKS_HTTPS = (b"HTTP request to an HTTPS server", b"HTTP request was sent to HTTPS port")  # distribution; nginx

# What a registry can hold. Names come from notifications and manifests, so from anybody: what breaks these rules would
# lead a request astray, and is not there anyway. The first part of a name may look like a host's.
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*"
_NAME = re.compile(rf"(?=.{{1,255}}\Z)(?:{_HOST}(?:\.{_HOST})*/)?{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"(?:sha256|blake3):[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class RegistryError(Exception):
    """The registry could not be asked, or answered with a refusal; the text tells an administrator what to mend."""


@dataclass(frozen=True)
class Challenge:
    """Where a registry sends its clients for tokens; realm and service are empty when it asks for none."""

    realm: str = ""
    service: str = ""
    answered_at: datetime | None = field(default=None, compare=False)  # by the registry's clock, to the second


@dataclass(frozen=True)
class StoredManifest:
    """A manifest as the registry has it: its digest, its media type, and its content."""

    digest: str
    media_type: str
    content: dict[str, Any]
    length: int  # bytes


class RegistryClient:
    """Speaks to one registry as Portus. Every method raises RegistryError and nothing else."""

    def __init__(self, registry: Registry, *, patience: int | None = None) -> None:
        """With `patience`, no answer is waited for longer than so many seconds, whatever the options say."""
        self.registry = registry
        timeout, read_timeout = settings.PORTUS.registry.timeout.value, settings.PORTUS.registry.read_timeout.value
        if patience is not None:
            timeout, read_timeout = min(timeout, patience), min(read_timeout, patience)
        with _pool_lock:
            self._http = _pool(timeout, read_timeout)
        self._service = registry.hostname

    def ping(self) -> Challenge | None:
        """Return how the registry answers somebody without a token; None when the address holds no registry."""
        response = self._send("GET", "/v2/", {})
        if response.status_code not in {200, 401} or not _is_registry(response):
            return None
        return replace(_challenge(response), answered_at=_date(response))

    def check_token(self) -> None:
        """Return when the registry takes our tokens."""
        self._asked("GET", "/v2/", None)

    def catalog(self) -> Iterator[str]:
        """Yield the names of all repositories, page by page."""
        yield from self._pages("/v2/_catalog", "repositories", ("registry", "catalog", ("*",)), _NAME)

    def tags(self, repository: str) -> Iterator[str]:
        """Yield the tags of a repository, page by page; none for a repository that the registry does not have."""
        if is_name(repository):
            yield from self._pages(f"/v2/{repository}/tags/list", "tags", ("repository", repository, PULL), _TAG)

    def has_repository(self, repository: str) -> bool:
        """Return whether the registry lists tags of a repository. One with nothing but untagged manifests has none."""
        if not is_name(repository):
            return False
        path, scope = f"/v2/{repository}/tags/list?n=1", ("repository", repository, PULL)
        return self._get(path, scope, bound=BIGGEST_LIST) is not None

    def head_manifest(self, repository: str, reference: str) -> str | None:
        """Return the digest behind a tag or digest; None when the registry says that there is no such manifest."""
        if not is_name(repository) or not is_reference(reference):
            return None
        path, scope = f"/v2/{repository}/manifests/{reference}", ("repository", repository, PULL)
        response = self._asked("HEAD", path, scope, {"Accept": ACCEPT}, accept_missing=True)
        if response.status_code != 200 or DIGEST_HEADER not in response.headers:
            # An answer to HEAD has no body, so whether the registry itself or a proxy in between says that there is
            # nothing is asked again.
            found = self.manifest(repository, reference)
            return found.digest if found else None
        return self._digest(response)

    def manifest(self, repository: str, reference: str) -> StoredManifest | None:
        """Return the manifest behind a tag or digest; None when the registry says that there is none."""
        if not is_name(repository) or not is_reference(reference):
            return None
        response = self._get(f"/v2/{repository}/manifests/{reference}", ("repository", repository, PULL), ACCEPT)
        if response is None:
            return None
        digest = self._digest(response) if DIGEST_HEADER in response.headers else _sha256(response.content)
        try:
            content = self._json(response)
        except RegistryError:
            # The registry took it, so it is there; whoever pushes decides what of it can be read.
            if _sha256(response.content) != digest:
                raise
            content = {}
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        return StoredManifest(digest, media_type, content, len(response.content))

    def blob(self, repository: str, digest: str) -> dict[str, Any] | None:
        """Return a small JSON blob, such as an image's configuration; None when the registry has no such thing.

        That is so too for a blob that is too large or no JSON: whoever pushes decides what is in there.
        """
        if not is_name(repository) or not is_digest(digest):
            return None
        try:
            response = self._get(f"/v2/{repository}/blobs/{digest}", ("repository", repository, PULL), redirects=True)
        except RegistryError as error:
            if isinstance(error.__cause__, TooLongError):
                return None
            raise
        if response is None:
            return None
        try:
            return self._json(response)
        except RegistryError:
            if _sha256(response.content) == digest:
                return None
            raise

    # Below here: one request, its token, its errors

    @property
    def _place(self) -> str:
        return f"The registry {self.registry.hostname}"

    def _pages(
        self, path: str, key: str, scope: tuple[str, str, tuple[str, ...]], rule: re.Pattern[str]
    ) -> Iterator[str]:
        address = f"{path}?n={settings.PORTUS.registry.catalog_page.value}"
        seen: set[str] = set()
        while address and address not in seen:
            seen.add(address)
            response = self._get(address, scope, bound=BIGGEST_LIST)
            if response is None:
                return
            names = self._json(response).get(key) or []
            if not isinstance(names, list):
                raise RegistryError(f"{self._place} answers {path} with something else than a list.")
            yield from (name for name in names if isinstance(name, str) and rule.fullmatch(name))
            address = self._next_page(response)

    def _next_page(self, response: httpx.Response) -> str:
        """Return the path of the following page, "" after the last; a link to another server is not followed."""
        link = response.links.get("next", {}).get("url")
        if not link:
            return ""
        try:
            following = response.url.join(link)
        except (httpx.InvalidURL, ValueError) as error:
            raise RegistryError(f"{self._place} continues its list at what is no address.") from error
        if following.host != response.url.host:
            raise RegistryError(f"{self._place} continues its list at another server ({following.host}).")
        return following.raw_path.decode()

    def _get(
        self,
        path: str,
        scope: tuple[str, str, tuple[str, ...]],
        accept: str = "*/*",
        *,
        redirects: bool = False,
        bound: int = BIGGEST_DOCUMENT,
    ) -> httpx.Response | None:
        """Return the answer to a GET; None for a refusal that carries the registry's own code for what is not there."""
        headers = {"Accept": accept}
        response = self._asked("GET", path, scope, headers, accept_missing=True, redirects=redirects, bound=bound)
        if response.is_success:
            return response
        if _codes(response) & NOT_THERE:
            return None
        raise RegistryError(f"{self._place} answers {path} with 404 and no error code; is there a proxy in between?")

    def _asked(
        self,
        method: str,
        path: str,
        scope: tuple[str, str, tuple[str, ...]] | None,
        headers: Mapping[str, str] | None = None,
        *,
        accept_missing: bool = False,
        redirects: bool = False,
        bound: int = BIGGEST_DOCUMENT,
    ) -> httpx.Response:
        def once() -> httpx.Response:
            said = {**(headers or {}), **self._authorization(scope)}
            return self._send(method, path, said, redirects=redirects, bound=bound)

        response = once()
        if response.status_code == 401 and self._is_called_otherwise(response):
            response = once()
        missing = response.status_code == 404 or (response.status_code == 400 and _codes(response) & NOT_THERE)
        if response.is_success or (accept_missing and missing):
            return response
        raise RegistryError(self._refusal(response))

    def _authorization(self, scope: tuple[str, str, tuple[str, ...]] | None) -> dict[str, str]:
        access: list[dict[str, object]] = []
        if scope is not None:
            access.append({"type": scope[0], "name": scope[1], "actions": list(scope[2])})
        said = signing.claims(subject="portus", audience=self._service, access=access, seconds=TOKEN_SECONDS)
        try:
            return {"Authorization": f"Bearer {signing.sign(said, self.registry.token_key_header)}"}
        except signing.SigningError as error:
            raise RegistryError(str(error)) from error

    def _is_called_otherwise(self, response: httpx.Response) -> bool:
        """Return whether the registry's service is its external name; from then on tokens are made out to that.

        No other name is believed: a registry could have tokens for another registry made.
        """
        service = _challenge(response).service
        if not service or service == self._service or service != self.registry.external_hostname:
            return False
        self._service = service
        return True

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        redirects: bool = False,
        bound: int = BIGGEST_DOCUMENT,
    ) -> httpx.Response:
        try:
            with self._http.stream(
                method, f"{self.registry.base_url}{path}", headers=dict(headers), follow_redirects=redirects
            ) as response:
                _read_bounded(response, bound)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise RegistryError(f"{self._place} {what_to_mend(error)}") from error
        if response.status_code == 400 and any(words in response.content for words in SPEAKS_HTTPS):
            raise RegistryError(f"{self._place} speaks https: turn use_ssl on.")
        return response

    def _digest(self, response: httpx.Response) -> str:
        digest: str = response.headers[DIGEST_HEADER]
        if not is_digest(digest):
            raise RegistryError(f"{self._place} sends no digest in its {DIGEST_HEADER} header; is it a registry?")
        return digest

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            # As lenient as the registries, whose Go takes spoilt text and numbers of any length.
            content = json.loads(response.content.decode(errors="replace"), parse_int=_integer)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"{self._place} answers with something else than JSON.") from error
        if not isinstance(content, dict):
            raise RegistryError(f"{self._place} answers with something else than a JSON object.")
        return content

    def _refusal(self, response: httpx.Response) -> str:
        status, service = response.status_code, _challenge(response).service
        if response.has_redirect_location:
            target = response.headers["Location"].partition("?")[0][:255]
            return f"{self._place} sends us on to {target}: give it that host name here, and the right use_ssl."
        if status == 401 and not service and "WWW-Authenticate" in response.headers:
            return f"{self._place} asks for a password instead of a token: set its auth.token."
        if status == 401 and service and service not in {self.registry.hostname, self.registry.external_hostname}:
            return f'{self._place} calls itself "{service}" (auth.token.service): give it the same name here.'
        if status == 401:
            return (
                f"{self._place} does not accept our tokens: its issuer, its rootcertbundle or its clock is not right; "
                "`portus doctor` tells which."
            )
        codes = ", ".join(sorted(_codes(response)))
        return f"{self._place} answers {response.request.url.path} with {status}{f' ({codes})' if codes else ''}."


# Of two threads that come first at the same time, functools.cache would let each make a client.
_pool_lock = Lock()


@cache
def _pool(timeout: float, read_timeout: float) -> httpx.Client:
    """Return the client of this process, which keeps connections open. Certificates are those of the system."""
    return httpx.Client(
        timeout=httpx.Timeout(read_timeout, connect=timeout, pool=read_timeout),
        verify=ssl.create_default_context(),
        # Unpacked, a short answer could be a very long one.
        headers={"User-Agent": "portus", "Accept-Encoding": "identity"},
    )


def is_name(text: str) -> bool:
    """Return whether a registry can have a repository of this name."""
    return _NAME.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def is_reference(text: str) -> bool:
    """Return whether a manifest can be asked for by this tag or digest."""
    return _TAG.fullmatch(text) is not None or is_digest(text)


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _read_bounded(response: httpx.Response, bound: int) -> None:
    """Read the body, and no more of it than is sensible."""
    parts, length = [], 0
    for part in response.iter_bytes():
        parts.append(part)
        length += len(part)
        if length > bound:
            raise TooLongError(f"answers with more than {bound // 1024**2} MiB.")
    response._content = b"".join(parts)  # noqa: SLF001 - httpx has no bound of its own


def _is_registry(response: httpx.Response) -> bool:
    return "Docker-Distribution-Api-Version" in response.headers or bool(_challenge(response).realm)


def _challenge(response: httpx.Response) -> Challenge:
    for challenge in response.headers.get_list("WWW-Authenticate"):
        scheme, _, parameters = challenge.partition(" ")
        if scheme.lower() == "bearer":
            said = dict(re.findall(r'(\w+)\s*=\s*"([^"]{0,255})"', parameters))
            return Challenge(said.get("realm", ""), said.get("service", ""))
    return Challenge()


def _date(response: httpx.Response) -> datetime | None:
    try:
        moment = parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _integer(digits: str) -> int:
    return int(digits) if len(digits) < LONGEST_NUMBER else 0


def _codes(response: httpx.Response) -> set[str]:
    """Return the error codes of the distribution specification that an answer carries."""
    try:
        errors = json.loads(response.content)["errors"]
        return {error["code"] for error in errors if _CODE.fullmatch(error["code"])}
    except (ValueError, TypeError, KeyError, RecursionError):
        return set()
