"""A registry that is there, and a server that answers what a test wants: for what no registry would say."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from portus.registry.operations import secret_digest
from portus.registry.tests.notifications import SECRET
from portus.tests.servers.client import RegistryClient
from portus.tests.servers.ports import LOOPBACK


class Server:
    """Answers each GET with status, headers and body, the same ones or those that a function of the path returns."""

    def __init__(self, answer):
        self.asked = asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append((self.command, self.path, self.headers.get("Authorization", "")))
                status, headers, body = answer(self.path) if callable(answer) else answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def do_HEAD(self):
                self.do_GET()

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.address = f"{LOOPBACK}:{self.http.server_port}"
        self.thread = Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def serve():
    started = []

    def start(answer):
        started.append(Server(answer))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def namespace(cast, make_namespace):
    return make_namespace("team", team=cast.team)


@pytest.fixture
def secured(registry):
    registry.notification_secret_digest = secret_digest(SECRET)
    registry.save()
    return registry


@pytest.fixture
def live(secured, registry_binary, start_registry):
    """A running registry whose row is the one of the fixture `registry`."""
    running = start_registry(registry_binary)
    secured.hostname = running.address
    secured.save()
    return running


@pytest.fixture
def container_client(live):
    with RegistryClient(live.address) as client:
        yield client
