"""Free ports on the loopback interface."""

import contextlib
import socket

LOOPBACK = "127.0.0.1"
_given: set[int] = set()


def free_port() -> int:
    """A port nobody listens on now, and never the same twice in one run."""
    while True:
        with contextlib.closing(socket.socket()) as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
