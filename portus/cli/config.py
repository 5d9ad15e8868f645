import os

import click

from portus import VERSION
from portus.cli import place
from portus.config import describe


@click.command()
def command() -> None:
    """Print every option with its value and where it comes from; secrets are masked.

    A wrong configuration is reported instead, one sentence for each mistake, and the exit status is 2.
    """
    place.adopt(os.environ)
    rows = describe(place.read_configuration(notices=True))
    click.echo("Evaluated configuration:")
    for row in rows:
        click.echo(f"{row.key}: {row.value or repr('')}  # {row.origin}")
    click.echo(f"\nPortus version: {VERSION}")
