import click
from django.conf import settings

from portus.background import worker
from portus.cli import place, prepare


@click.command()
def command() -> None:
    """Handle what the registries report, and whatever else may take a while, until SIGTERM or Ctrl-C.

    Waits up to 90 seconds for the database server.
    """
    place.require_secret_key(settings.PORTUS)
    prepare.wait_for_database()
    worker.run()
