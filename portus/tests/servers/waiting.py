"""Waiting for what another process does."""

import time
from collections.abc import Callable


def seconds_until(
    condition: Callable[[], object], *, most: float = 30, why: Callable[[], object] = lambda: "it never happened"
) -> float:
    """Return how long it took until the condition held; fail with `why` when it takes too long."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < most, why()
        time.sleep(0.02)
    return time.monotonic() - started
