"""All our requests to a registry. Each carries a token that we sign ourselves, so nothing calls our own address.

Sources: the OCI distribution specification; distribution's `spec/api` and `spec/auth/token`.
"""

import errno
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx
from django.conf import settings

from portus.registry import signing
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
TOKEN_SECONDS = 300
NOT_THERE = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN", "NAME_INVALID", "TAG_INVALID"})
PULL = ("pull",)


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

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        timeout, read_timeout = settings.PORTUS.registry.timeout.value, settings.PORTUS.registry.read_timeout.value
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
        yield from self._pages("/v2/_catalog", "repositories", ("registry", "catalog", ("*",)))

    def tags(self, repository: str) -> Iterator[str]:
        """Yield the tags of a repository, page by page; none for a repository that the registry does not have."""
        yield from self._pages(f"/v2/{repository}/tags/list", "tags", ("repository", repository, PULL))

    def has_repository(self, repository: str) -> bool:
        """Return whether the registry lists tags of a repository. One with nothing but untagged manifests has none."""
        return self._get(f"/v2/{repository}/tags/list?n=1", ("repository", repository, PULL)) is not None

    def head_manifest(self, repository: str, reference: str) -> str | None:
        """Return the digest behind a tag or digest; None when the registry says that there is no such manifest."""
        path, scope = f"/v2/{repository}/manifests/{reference}", ("repository", repository, PULL)
        response = self._asked("HEAD", path, scope, {"Accept": ACCEPT}, accept_missing=True)
        if response.status_code == 404:
            # An answer to HEAD has no body, so whether the registry itself or a proxy in between says so is asked again.
            found = self.manifest(repository, reference)
            return found.digest if found else None
        digest = response.headers.get("Docker-Content-Digest", "")
        if not digest:
            raise RegistryError(f"{self._place} sends no Docker-Content-Digest header; is it a registry?")
        return digest

    def manifest(self, repository: str, reference: str) -> StoredManifest | None:
        """Return the manifest behind a tag or digest; None when the registry says that there is none."""
        response = self._get(f"/v2/{repository}/manifests/{reference}", ("repository", repository, PULL), ACCEPT)
        if response is None:
            return None
        content = self._json(response)
        digest = response.headers.get("Docker-Content-Digest", reference if ":" in reference else "")
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        return StoredManifest(digest, media_type, content, len(response.content))

    def blob(self, repository: str, digest: str) -> dict[str, Any] | None:
        """Return a small JSON blob, such as an image's configuration; None when the registry has no such blob."""
        response = self._get(f"/v2/{repository}/blobs/{digest}", ("repository", repository, PULL), redirects=True)
        return None if response is None else self._json(response)

    # Below here: one request, its token, its errors

    @property
    def _place(self) -> str:
        return f"The registry {self.registry.hostname}"

    def _pages(self, path: str, key: str, scope: tuple[str, str, tuple[str, ...]]) -> Iterator[str]:
        address = f"{path}?n={settings.PORTUS.registry.catalog_page.value}"
        seen: set[str] = set()
        while address and address not in seen:
            seen.add(address)
            response = self._get(address, scope)
            if response is None:
                return
            names = self._json(response).get(key) or []
            if not isinstance(names, list):
                raise RegistryError(f"{self._place} answers {path} with something else than a list.")
            yield from (name for name in names if isinstance(name, str))
            address = self._next_page(response)

    def _next_page(self, response: httpx.Response) -> str:
        """Return the path of the following page, "" after the last; a link to another server is not followed."""
        link = response.links.get("next", {}).get("url")
        if not link:
            return ""
        following = response.url.join(link)
        if following.host != response.url.host:
            raise RegistryError(f"{self._place} continues its list at another server ({following.host}).")
        return following.raw_path.decode()

    def _get(
        self, path: str, scope: tuple[str, str, tuple[str, ...]], accept: str = "*/*", *, redirects: bool = False
    ) -> httpx.Response | None:
        """Return the answer to a GET; None for a 404 that carries the registry's own error code."""
        response = self._asked("GET", path, scope, {"Accept": accept}, accept_missing=True, redirects=redirects)
        if response.status_code != 404:
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
    ) -> httpx.Response:
        response = self._send(method, path, {**(headers or {}), **self._authorization(scope)}, redirects=redirects)
        if response.status_code == 401 and self._is_called_otherwise(response):
            response = self._send(method, path, {**(headers or {}), **self._authorization(scope)}, redirects=redirects)
        if response.is_success or (accept_missing and response.status_code == 404):
            return response
        raise RegistryError(self._refusal(response))

    def _authorization(self, scope: tuple[str, str, tuple[str, ...]] | None) -> dict[str, str]:
        access = [] if scope is None else [{"type": scope[0], "name": scope[1], "actions": list(scope[2])}]
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

    def _send(self, method: str, path: str, headers: Mapping[str, str], *, redirects: bool = False) -> httpx.Response:
        try:
            with self._http.stream(
                method, f"{self.registry.base_url}{path}", headers=dict(headers), follow_redirects=redirects
            ) as response:
                _read_bounded(response)
                return response
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise RegistryError(f"{self._place} {_what_to_mend(error)}") from error

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            content = json.loads(response.content)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"{self._place} answers with something else than JSON.") from error
        if not isinstance(content, dict):
            raise RegistryError(f"{self._place} answers with something else than a JSON object.")
        return content

    def _refusal(self, response: httpx.Response) -> str:
        status, service = response.status_code, _challenge(response).service
        if status == 400 and b"HTTPS server" in response.content:
            return f"{self._place} speaks https: turn use_ssl on."
        if status == 401 and service and service not in {self.registry.hostname, self.registry.external_hostname}:
            return f'{self._place} calls itself "{service}" (auth.token.service): give it the same name here.'
        if status == 401:
            return (
                f"{self._place} does not accept our tokens: its issuer, its rootcertbundle or its clock is not right; "
                "`portus doctor` tells which."
            )
        codes = ", ".join(sorted(_codes(response)))
        return f"{self._place} answers {response.request.url.path} with {status}{f' ({codes})' if codes else ''}."


@cache
def _pool(timeout: float, read_timeout: float) -> httpx.Client:
    """Return the client of this process, which keeps connections open. Certificates are those of the system."""
    return httpx.Client(
        timeout=httpx.Timeout(read_timeout, connect=timeout, pool=read_timeout),
        verify=ssl.create_default_context(),
        headers={"User-Agent": "portus"},
    )


def _read_bounded(response: httpx.Response) -> None:
    """Read the body, and no more of it than a manifest may have."""
    parts, length = [], 0
    for part in response.iter_bytes():
        parts.append(part)
        length += len(part)
        if length > BIGGEST_DOCUMENT:
            raise ValueError("answers with more than 4 MiB.")
    response._content = b"".join(parts)  # noqa: SLF001 - httpx has no bound of its own


def _is_registry(response: httpx.Response) -> bool:
    return "Docker-Distribution-Api-Version" in response.headers or "Bearer" in response.headers.get(
        "WWW-Authenticate", ""
    )


def _challenge(response: httpx.Response) -> Challenge:
    scheme, _, parameters = response.headers.get("WWW-Authenticate", "").partition(" ")
    if scheme.lower() != "bearer":
        return Challenge()
    said = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', parameters))
    return Challenge(said.get("realm", ""), said.get("service", ""))


def _date(response: httpx.Response) -> datetime | None:
    try:
        moment = parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _codes(response: httpx.Response) -> set[str]:
    """Return the error codes of the distribution specification that an answer carries."""
    try:
        errors = json.loads(response.content)["errors"]
        return {error["code"] for error in errors if isinstance(error["code"], str)}
    except (ValueError, TypeError, KeyError, RecursionError):
        return set()


def _what_to_mend(error: Exception) -> str:
    """Say in words why no answer came."""
    causes = list(_causes(error))
    text = " ".join(str(cause) for cause in causes)
    numbers = {cause.errno for cause in causes if isinstance(cause, OSError)}
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "has a host name that is not found: check its spelling and this machine's DNS."
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "has a certificate that this machine does not trust: add its CA to the system's certificates."
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or "[SSL" in text:
        return "does not speak TLS on this port: turn use_ssl off, or mend its certificate."
    if errno.ECONNREFUSED in numbers:
        return "refuses the connection: is it running, and is the port right?"
    if isinstance(error, httpx.ConnectTimeout):
        return "cannot be reached in time (registry.timeout): check host, port and firewall."
    if isinstance(error, httpx.TimeoutException):
        return "does not answer in time (registry.read_timeout)."
    if isinstance(error, httpx.RemoteProtocolError):
        return "does not answer in HTTP: is it a registry, and is use_ssl right?"
    if isinstance(error, httpx.InvalidURL):
        return "has a host name that is none."
    return str(error) if type(error) is ValueError else f"cannot be reached ({text or type(error).__name__})."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
