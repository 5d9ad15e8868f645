"""The web server: granian with our WSGI application in several processes."""

import contextlib
import ctypes
import gc
import logging
import os
import signal
import ssl
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from django.urls import get_resolver
from granian.constants import Interfaces, SSLProtocols
from granian.log import LogLevels
from granian.server import MPServer

from portus.cli import place
from portus.config import Options
from portus.wsgi import application

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

# Open connections of one worker, idle ones among them: a browser alone keeps six. Threads bound the work, not this.
CONNECTIONS = 1024
RESPAWN_SECONDS = 1
# What a worker may take to finish its requests; `up` and service managers wait a little longer for us.
KILL_AFTER_SECONDS = 8
PR_SET_PDEATHSIG = 1
M_MMAP_THRESHOLD = -3
BIG_ALLOCATION = 1 << 20  # bytes


def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT; raise ClickException when the certificate cannot be used."""
    try:
        server = make_server(options)
    except (OSError, ssl.SSLError) as error:
        raise click.ClickException(
            f"web.tls_key and web.tls_certificate cannot be used, or do not belong together ({error})."
        ) from error
    # Workers are forked from this process: what it has loaded they share, and what cannot be loaded fails here, once.
    get_resolver().url_patterns  # noqa: B018 - loads all views
    gc.freeze()
    logger.info("Listening on %s, port %s.", options.web.bind, options.web.port)
    load = partial(load_application, os.getpid(), options.runtime.url_prefix)
    server.serve(target_loader=load, wrap_loader=False)


def make_server(options: Options) -> MPServer:
    web = options.web
    tls = {"ssl_cert": Path(web.tls_certificate), "ssl_key": Path(web.tls_key)} if web.tls_key else {}
    return MPServer(
        "portus.wsgi:application",
        address=place.numeric(web.bind),
        port=web.port,
        interface=Interfaces.WSGI,
        websockets=False,
        workers=web.workers,
        blocking_threads=web.threads,
        backpressure=CONNECTIONS,
        respawn_failed_workers=True,
        respawn_interval=RESPAWN_SECONDS,
        workers_kill_timeout=KILL_AFTER_SECONDS,
        log_level=LogLevels.warning,
        log_dictconfig=_log_configuration(),
        ssl_protocol_min=SSLProtocols.tls12,
        **tls,  # type: ignore[arg-type]
    )


def load_application(parent: int, prefix: str) -> "WSGIApplication":
    """Return the WSGI application; called in each worker.

    A worker ends with the process that started it: it would go on answering with its old code, and some of all
    connections would reach it, because workers share the port.
    """
    library = ctypes.CDLL(None)
    library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # asked to end, one that is busy hashing may stay for good
    if os.getppid() != parent:  # it ended before that line
        os._exit(1)
    # Else glibc learns to keep them: each thread that has ever hashed a password, the 19 MB that this took.
    with contextlib.suppress(AttributeError):  # other C libraries neither have this nor need it
        library.mallopt(M_MMAP_THRESHOLD, BIG_ALLOCATION)
    # granian copies the environment into each request; our secrets have been read, and do not belong there.
    for name in [name for name in os.environ if name.startswith(("PORTUS_", "DATABASE_URL"))]:
        del os.environ[name]
    return below(prefix, application) if prefix else application


def below(prefix: str, served: "WSGIApplication") -> "WSGIApplication":
    """Return an application that finds its paths below a prefix, and also without it: some proxies take it away."""

    def stripped(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == prefix or path.startswith(f"{prefix}/"):
            environ["PATH_INFO"] = path[len(prefix) :] or "/"
        return served(environ, start_response)

    return stripped


def _log_configuration() -> dict[str, Any]:
    """Return a configuration under which granian's lines look like all others."""
    return {
        "formatters": {"line": {"()": "portus.logs.formatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {"_granian": {"handlers": ["stderr"], "propagate": False}},
    }
