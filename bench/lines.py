"""What is measured: a line for each kind of request, with its budgets. A new one is a function and an entry."""

import base64
import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle
from urllib.parse import urlencode

from bench import data
from bench.data import DataSet

BOTH = ("small", "large")
CLIENTS = 25  # people who ask for tokens, in turn; each one's "last used" is written once a minute
CLIENT = "Host: localhost:3000\r\nUser-Agent: docker/27.3.1 go/go1.22.7\r\nAccept-Encoding: gzip\r\n"
EVENTS_TYPE = "application/vnd.docker.distribution.events.v1+json"
EVENT_ID = b"(the id of the event)"
EVENT = {
    "id": EVENT_ID.decode(),
    "timestamp": "2026-01-02T03:04:05.678901234Z",
    "action": "push",
    "target": {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "size": 1234,
        "digest": data.digest("a manifest"),
        "length": 1234,
        "repository": "group00001/app0",
        "url": f"http://{data.REGISTRY_HOST}/v2/group00001/app0/manifests/{data.digest('a manifest')}",
        "tag": "1.0",
    },
    "request": {
        "id": "11111111-2222-3333-4444-555555555555",
        "addr": "192.0.2.1:43210",
        "host": data.REGISTRY_HOST,
        "method": "PUT",
        "useragent": "docker/27.3.1 go/go1.22.7",
    },
    "actor": {"name": data.user_name(7)},
    "source": {"addr": "registry:5000", "instanceID": "66666666-7777-8888-9999-000000000000"},
}


@dataclass(frozen=True)
class Line:
    """`requests` makes them without end, for a data set and the number of the round. A budget of None is not judged."""

    name: str
    requests: Callable[[DataSet, int], Iterator[bytes]]
    status: int = 200
    data_sets: tuple[str, ...] = BOTH
    share: float | None = None  # of the throughput that the view has which does nothing, at least
    growth: float | None = None  # of the cost from the small to the large data set, at most
    needs_tags: bool = False


def nothing(_data_set: DataSet, _round: int) -> Iterator[bytes]:
    return cycle([get("/bench/nothing")])


def application_tokens(data_set: DataSet, _round: int) -> Iterator[bytes]:
    return cycle(
        get(token_path(namespace, "pull,push", account=user), basic(user, data.application_token(user)))
        for namespace, user in pushers(data_set, CLIENTS)
    )


def nobodys_tokens(data_set: DataSet, _round: int) -> Iterator[bytes]:
    return cycle(get(token_path(namespace, "pull")) for namespace, _ in pushers(data_set, CLIENTS))


def remembered_passwords(data_set: DataSet, round_: int) -> Iterator[bytes]:
    """Somebody else's in each round: a password is forgotten after a minute, which should not be while we measure."""
    namespace, user = pushers(data_set, CLIENTS)[round_ % CLIENTS]
    return cycle([get(token_path(namespace, "pull,push", account=user), basic(user, data.PASSWORD))])


def pushes(_data_set: DataSet, _round: int) -> Iterator[bytes]:
    """Each is a batch of one event that was never sent before, written as distribution 2.8 writes it."""
    body = json.dumps({"events": [EVENT]}, indent=3).encode()
    headers = (f"Authorization: Bearer {data.NOTIFICATION_SECRET}", f"Content-Type: {EVENTS_TYPE}")
    while True:
        yield post("/v2/webhooks/events", body.replace(EVENT_ID, str(uuid.uuid4()).encode()), *headers)


NOTHING = Line("do nothing", nothing)
LINES = (
    Line("token: application token, one repository", application_tokens, share=0.45, growth=1.2),
    Line("token: anonymous, one repository", nobodys_tokens),
    Line("token: password (remembered), one repository", remembered_passwords),
    Line("event intake: one push", pushes, status=202, data_sets=("small",), share=0.3),
)


def pushers(data_set: DataSet, number: int) -> list[tuple[int, int]]:
    """Return private namespaces, spread evenly over all, each with somebody who may push there."""
    return [(namespace, data_set.member(namespace, 1)) for namespace in data_set.spread_namespaces(number)]


def get(path: str, *headers: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\n{CLIENT}{written(headers)}\r\n".encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    length = f"Content-Length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\n{CLIENT}{written((*headers, length))}\r\n".encode() + body


def written(headers: Iterable[str]) -> str:
    return "".join(f"{header}\r\n" for header in headers)


def basic(user: int, password: str) -> str:
    credentials = base64.b64encode(f"{data.user_name(user)}:{password}".encode()).decode()
    return f"Authorization: Basic {credentials}"


def token_path(namespace: int, actions: str, *, account: int | None = None) -> str:
    asked = {
        "service": data.REGISTRY_HOST,
        **({} if account is None else {"account": data.user_name(account)}),
        "scope": f"repository:{data.namespace_name(namespace)}/{data.repository_name(0)}:{actions}",
    }
    return f"/v2/token?{urlencode(asked)}"
