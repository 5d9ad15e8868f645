"""The two data sets: how big they are, and the names and secrets in them.

All are computed from numbers, by the seeder and by whoever sends requests, so nothing is handed from one to the other.
"""

import hashlib
from dataclasses import dataclass

REGISTRY_HOST = "registry.test:5000"
NOTIFICATION_SECRET = hashlib.sha256(b"the registry of the benchmark").hexdigest()
PASSWORD = "a password of the benchmark"
MEMBERS = 10  # of a team: one owner, then contributors, then viewers
CONTRIBUTORS = 4
REPOSITORIES = 2  # of a namespace
PUBLIC_EVERY = 3  # each third namespace


@dataclass(frozen=True)
class DataSet:
    name: str
    users: int  # each with an application token and a personal namespace
    namespaces: int  # those of teams; the personal ones and the global one come on top
    tags: int

    def member(self, namespace: int, position: int) -> int:
        """Return the number of the user who is at `position` of a namespace's team; the owner is at 0."""
        return (namespace * 7 + position) % self.users

    def spread_namespaces(self, count: int) -> list[int]:
        """Return the numbers of private namespaces that lie evenly over the whole table."""
        step = self.namespaces / count
        numbers = (int(position * step) for position in range(count))
        return [number + 1 if is_public(number) else number for number in numbers]


DATA_SETS = {
    data_set.name: data_set
    for data_set in (
        DataSet("small", users=100, namespaces=50, tags=1_000),
        DataSet("large", users=50_000, namespaces=10_000, tags=1_000_000),
    )
}


def is_public(namespace: int) -> bool:
    return namespace % PUBLIC_EVERY == 0


def user_name(number: int) -> str:
    return f"user{number:05}"


def namespace_name(number: int) -> str:
    return f"group{number:05}"


def repository_name(number: int) -> str:
    return f"app{number}"


def digest(*parts: object) -> str:
    return f"sha256:{hashlib.sha256(repr(parts).encode()).hexdigest()}"


def application_token(user: int) -> str:
    """Return a token of the usual shape. Whoever knows the number knows the token."""
    return f"ptk_{digest(user_name(user))[-40:]}"
