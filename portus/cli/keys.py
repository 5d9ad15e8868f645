import click
from django.conf import settings

from portus.registry import signing


@click.group()
def command() -> None:
    """The keys that sign tokens."""


@command.command()
def rotate() -> None:
    """Replace the signing key, under the same root certificate: no registry needs to be told or restarted.

    Web processes sign with the new key within seconds; tokens of the old one are good for the minutes they have left.
    """
    if settings.PORTUS.runtime.key_path:
        raise click.ClickException(
            "PORTUS_KEY_PATH names a key of yours: replace that file and its certificate, and tell the registries."
        )
    try:
        signing.rotate_leaf(signing.keys_folder())
        leaf = signing.certificates().leaf
    except signing.SigningError as error:
        raise click.ClickException(str(error)) from error
    until = f", good until {leaf.not_valid_after_utc:%Y-%m-%d}" if leaf else ""
    click.echo(f"There is a new signing key{until}. No registry needs a restart: they trust the root.")
