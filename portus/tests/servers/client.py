"""A container client of a few lines, for what skopeo cannot do: it follows the registry's challenge as others do."""

import re
import time
from base64 import b64encode
from typing import Self

import httpx

from portus.tests.servers.images import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Image

PATIENCE = 10  # how often a client that is told to come back later does so
ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))


class RegistryClient:
    """Talks to one registry as one user, or as nobody; use it as a context manager or close() it.

    A refusal is an answer, not an exception: look at the status. `push` raises httpx.HTTPStatusError, because its
    caller wants the image there.
    """

    def __init__(self, address: str, user: str | None = None, password: str = "") -> None:
        self.service = address
        self._http = httpx.Client(base_url=f"http://{address}", timeout=20, trust_env=False)
        self._pushed: set[tuple[str, str]] = set()  # only manifests are ever deleted, so a blob stays there
        self._basic = b64encode(f"{user}:{password}".encode()).decode() if user else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def request(
        self, method: str, path: str, *, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send, get the token that the registry asks for, send again; the answer, whatever it is."""
        headers = headers or {}
        answer = self._http.request(method, path, content=content, headers=headers)
        if answer.status_code != 401:
            return answer
        token = self.token(answer.headers.get("WWW-Authenticate", ""))
        if token is None:
            return answer
        return self._http.request(
            method, path, content=content, headers={**headers, "Authorization": f"Bearer {token}"}
        )

    def token(self, challenge: str) -> str | None:
        """The token for a challenge of the registry; None when the token service refuses or it is no Bearer one."""
        scheme, _, rest = challenge.partition(" ")
        parameters = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if scheme.lower() != "bearer" or "realm" not in parameters:
            return None
        query = {key: parameters[key] for key in ("service", "scope") if key in parameters}
        headers = {"Authorization": f"Basic {self._basic}"} if self._basic else {}
        answer = self._http.get(parameters["realm"], params=query, headers=headers)
        for _ in range(PATIENCE):
            if answer.status_code != 429:
                break
            time.sleep(float(answer.headers["Retry-After"]))
            answer = self._http.get(parameters["realm"], params=query, headers=headers)
        return str(answer.json()["token"]) if answer.is_success else None

    def push(self, image: Image, repository: str, tag: str | None = None) -> None:
        """Send the image with all its children; without a tag it is there by its digest alone."""
        for part in image.everything():
            for blob in part.blobs:
                self._push_blob(repository, blob.digest, blob.data)
            reference = tag if part is image and tag else part.digest
            self.put_manifest(repository, reference, part).raise_for_status()

    def put_manifest(self, repository: str, reference: str, image: Image) -> httpx.Response:
        headers = {"Content-Type": image.media_type}
        return self.request(
            "PUT", f"/v2/{repository}/manifests/{reference}", content=image.manifest.data, headers=headers
        )

    def get_manifest(self, repository: str, reference: str) -> httpx.Response:
        return self.request("GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": ACCEPT})

    def head_manifest(self, repository: str, reference: str) -> httpx.Response:
        return self.request("HEAD", f"/v2/{repository}/manifests/{reference}", headers={"Accept": ACCEPT})

    def delete_manifest(self, repository: str, reference: str) -> httpx.Response:
        return self.request("DELETE", f"/v2/{repository}/manifests/{reference}")

    def _push_blob(self, repository: str, digest: str, data: bytes) -> None:
        if (repository, digest) in self._pushed:
            return
        self._pushed.add((repository, digest))
        if self.request("HEAD", f"/v2/{repository}/blobs/{digest}").is_success:
            return
        upload = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        upload.raise_for_status()
        place = httpx.URL(upload.headers["Location"]).copy_merge_params({"digest": digest})
        self.request("PUT", str(place), content=data).raise_for_status()


def oci_push(
    image: Image, address: str, repository: str, tag: str | None = None, *, user: str | None = None, password: str = ""
) -> None:
    """Push once; raise httpx.HTTPStatusError when the registry refuses."""
    with RegistryClient(address, user, password) as client:
        client.push(image, repository, tag)
