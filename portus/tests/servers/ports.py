"""Free ports on the loopback interface."""

import contextlib
import os
import random
import socket

LOOPBACK = "127.0.0.1"
# Below those that the kernel gives to clients: a connection of somebody's could take one before the server has it.
FIRST, LAST = 20000, 32000
_given: set[int] = set()


def free_port() -> int:
    """A port nobody listens on now, never the same twice in one run; each worker of pytest-xdist has its own share."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = range(FIRST + worker, LAST, workers)
    while True:
        port = random.choice(share)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
