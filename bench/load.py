"""Puts load on a server: some connections that are kept alive, each with one request at a time under way.

One thread that reads and writes raw HTTP; it needs about a tenth of what the view that does nothing costs the server.
"""

import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

CHUNK = 1 << 16
SILENCE_SECONDS = 30
END_OF_CHUNKS = b"\r\n0\r\n\r\n"


class LoadError(Exception):
    """The server did not do what the benchmark needs; the text says what it did."""


@dataclass(frozen=True)
class Sample:
    """What was answered in a measured time, and what it cost the server."""

    answers: int
    seconds: float
    cpu_seconds: float  # of the server's processes
    own_cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def cpu_each(self) -> float:
        """Seconds of the server's CPU that an answer took."""
        return self.cpu_seconds / self.answers


@dataclass
class _Connection:
    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)

    def send(self, request: bytes) -> None:
        self.received.clear()
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Read what is there; return whether the answer is complete."""
        chunk = self.socket.recv(CHUNK)
        if not chunk:
            raise LoadError("The server closed a connection.")
        self.received += chunk
        return _is_complete(self.received)


@dataclass(frozen=True)
class Load:
    """Requests to one server; every answer must have the status that is expected, or the measurement means nothing."""

    address: tuple[str, int]
    connections: int
    warm_up: float  # seconds that are not measured
    seconds: float
    cpu_seconds: Callable[[], float]  # how much CPU the server has taken so far

    def run(self, requests: Iterator[bytes], status: int) -> Sample:
        opened = {found.fileno(): _Connection(found) for found in (self._connect() for _ in range(self.connections))}
        try:
            for connection in opened.values():
                connection.send(next(requests))
            self._answer(opened, requests, self.warm_up)  # a first password may be told to come again
            before = time.perf_counter(), self.cpu_seconds(), time.process_time()
            answers = self._answer(opened, requests, self.seconds, status=status)
            after = time.perf_counter(), self.cpu_seconds(), time.process_time()
        finally:
            for connection in opened.values():
                connection.socket.close()
        return Sample(answers, *(end - start for start, end in zip(before, after, strict=True)))

    def _connect(self) -> socket.socket:
        connected = socket.create_connection(self.address, timeout=SILENCE_SECONDS)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def _answer(
        self, opened: dict[int, _Connection], requests: Iterator[bytes], seconds: float, *, status: int | None = None
    ) -> int:
        """Send the next request wherever an answer comes in; return how many came in. Any status will do for None."""
        expected = f"HTTP/1.1 {status or ''}".encode()
        answers = 0
        end = time.perf_counter() + seconds
        with select.epoll() as poll:
            for number in opened:
                poll.register(number, select.EPOLLIN)
            while time.perf_counter() < end:
                for connection in _readable(poll, opened):
                    if not connection.is_answered():
                        continue
                    if not connection.received.startswith(expected):
                        answer = connection.received[:2000].decode(errors="replace")
                        raise LoadError(f"Not the expected {status}, but:\n{answer}")
                    answers += 1
                    connection.send(next(requests))
        return answers


def _readable(poll: select.epoll, opened: dict[int, _Connection]) -> list[_Connection]:
    ready = poll.poll(SILENCE_SECONDS)
    if not ready:
        raise LoadError(f"The server was silent for {SILENCE_SECONDS} seconds.")
    return [opened[number] for number, _ in ready]


def _is_complete(received: bytearray) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    headers = head.lower()
    if b"\r\ntransfer-encoding: chunked" in headers:
        # An empty body is the last chunk alone.
        return received.endswith(END_OF_CHUNKS)
    _, found, rest = headers.partition(b"\r\ncontent-length: ")
    return not found or len(body) >= int(rest.partition(b"\r\n")[0])
