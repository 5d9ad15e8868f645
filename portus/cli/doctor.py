import sys

import click

from portus.registry import health


@click.command()
def command() -> None:
    """Check this installation and its registries: one line each, with what mends it.

    The exit status is 1 if something is wrong.
    """
    wrong = False
    for check in health.checks():
        wrong = wrong or not check.ok
        subject = f"{check.name} ({check.registry})" if check.registry else check.name
        click.echo(f"{'ok   ' if check.ok else 'WRONG'}  {subject}: {check.sentence}")
    sys.exit(1 if wrong else 0)
