"""How many accounts a client has made for itself lately."""

import threading

from cachetools import TTLCache

from portus.accounts.hashing import client_at

MOST_SIGN_UPS = 20  # of one client; a class that signs up behind one address should fit
WINDOW_SECONDS = 600
MOST_CLIENTS = 4096


class SignUps:
    """Counts in the memory of this process: each worker lets as many pass, and a restart forgets.

    That is enough to keep one client from making thousands, needs no table of who came from where, and no clean-up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A list, so that adding to it does not begin the client's ten minutes anew.
        self._made: TTLCache[str, list[int]] = TTLCache(maxsize=MOST_CLIENTS, ttl=WINDOW_SECONDS)

    def are_too_many(self, address: str) -> bool:
        with self._lock:
            return len(self._made.get(client_at(address), ())) >= MOST_SIGN_UPS

    def count(self, address: str, user_id: int) -> None:
        with self._lock:
            client = client_at(address)
            if client not in self._made:
                self._made[client] = []
            self._made[client].append(user_id)

    def clear(self) -> None:
        with self._lock:
            self._made.clear()


sign_ups = SignUps()
