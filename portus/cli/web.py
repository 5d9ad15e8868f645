import warnings

import click

from portus.cli import load, place


@click.command()
def command() -> None:
    """Serve the pages, the API and the token service, until SIGTERM or Ctrl-C.

    Address, port, TLS, number of processes and of their threads are the options web.*.
    """
    options = place.read_configuration(notices=True).options
    place.require_secret_key(options)
    place.require_port(options.web.bind, options.web.port, variable="PORTUS_PORT", what="web server")
    # Files that nobody collected are served from the package.
    warnings.filterwarnings("ignore", message="No directory at")
    load("serving").serve(options)
