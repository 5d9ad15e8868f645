"""Where passwords are hashed: the one thing that makes a stranger's request long enough to keep others waiting."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from typing import TypeVar

from django.conf import settings

RETRY_AFTER_SECONDS = 2

_Result = TypeVar("_Result")


class Room:
    """Few hash at once, and each client has one place, so that others find a place and a free thread.

    A client's next one waits in the lobby, which is small as well; so does who asks what is just being found.
    """

    def __init__(self, *, at_once: int, inside: int, patience_seconds: float, lobby: int = 0) -> None:
        self._hashing = threading.BoundedSemaphore(at_once)
        self._inside = threading.BoundedSemaphore(inside)
        self._lobby = threading.BoundedSemaphore(lobby)
        self._clients: set[str] = set()
        self._somebody_left = threading.Condition()
        self._patience = patience_seconds

    def hash(self, address: str, work: Callable[[], _Result]) -> _Result | None:
        """Return what `work` returns, or None when there was no place in time for the client at this address."""
        client = client_at(address)
        if not self._admit(client):
            return None
        try:
            with _acquired(self._inside, 0) as inside:
                return self._take_turn(work) if inside else None
        finally:
            with self._somebody_left:
                self._clients.remove(client)
                self._somebody_left.notify_all()

    def wait(self, wait: Callable[[float], bool]) -> bool:
        """Call `wait` with the seconds that it may last; return False, at once, when too many wait already."""
        with _acquired(self._lobby, 0) as free:
            return free and wait(self._patience)

    def _admit(self, client: str) -> bool:
        """Note that a client is inside, when none of its other requests is any more; return whether it came to that."""
        with self._somebody_left:

            def wait_for_the_other(seconds: float) -> bool:
                return self._somebody_left.wait_for(lambda: client not in self._clients, seconds)

            if client in self._clients and not self.wait(wait_for_the_other):
                return False
            self._clients.add(client)
            return True

    def _take_turn(self, work: Callable[[], _Result]) -> _Result | None:
        with _acquired(self._hashing, self._patience) as mine:
            return work() if mine else None


@contextmanager
def _acquired(semaphore: threading.Semaphore, seconds: float) -> Iterator[bool]:
    """Say whether there was a place within these seconds; keep it until the end."""
    free = semaphore.acquire(timeout=seconds)
    try:
        yield free
    finally:
        if free:
            semaphore.release()


def make_room() -> Room:
    """Leave a core, and one thread of this worker at least, to everybody who needs no hashing."""
    cores = os.cpu_count() or 1
    threads = settings.PORTUS.web.threads
    inside = max(1, threads // 2)
    at_once = min(inside, max(1, (cores - 1) // max(1, settings.PORTUS.web.workers)))
    lobby = max(0, threads - inside - 1)
    return Room(at_once=at_once, inside=inside, lobby=lobby, patience_seconds=RETRY_AFTER_SECONDS)


def client_at(address: str) -> str:
    """Return whom an address stands for: in IPv6 a network, because one client has as many addresses as it likes."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or f"{int(parsed) >> 64:x}::/64")


room = make_room()
