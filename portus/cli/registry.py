import secrets
from typing import TextIO

import click
import yaml
from django.conf import settings
from django.core.exceptions import ValidationError

from portus.cli import registry_configuration
from portus.registry import operations
from portus.registry.client import RegistryClient, RegistryError
from portus.registry.models import Registry, TokenKeyHeader

PLACEHOLDER = "<the secret of its notifications>"


@click.group()
def command() -> None:
    """The registries that Portus serves. NAME is a registry's name here, or its host name."""


@command.command("list")
def list_all() -> None:
    """List the registries, and whether their notifications carry a secret."""
    for registry in Registry.objects.all():
        known = "with secret" if registry.notification_secret_digest else "WITHOUT SECRET"
        outside = f" (outside {registry.external_hostname})" if registry.external_hostname else ""
        header = registry.token_key_header or "automatic"
        click.echo(f"{registry.name}: {registry.base_url}{outside}, notifications {known}, token_key_header {header}")


@command.command()
@click.argument("hostname")
@click.option("--name", help="What it is called here; its host name, if not given.")
@click.option("--ssl/--no-ssl", "use_ssl", default=True, show_default=True, help="Whether it speaks https.")
@click.option("--external-hostname", help="The name by which clients know it, if they use another one.")
@click.option("--force", is_flag=True, help="Add it although it does not answer.")
def add(hostname: str, name: str | None, use_ssl: bool, external_hostname: str | None, force: bool) -> None:
    """Add the registry at HOSTNAME (with its port, such as registry.example.org:5000).

    Prints what its configuration must say, with a new secret for its notifications, which is not shown again.
    """
    secret = secrets.token_hex(32)
    if not force:
        _require_registry(Registry(name=name or hostname, hostname=hostname, use_ssl=use_ssl))
    try:
        registry = operations.create_registry(
            name=name or hostname, hostname=hostname, use_ssl=use_ssl, external_hostname=external_hostname,
            notification_secret=secret, actor=None,
        )  # fmt: skip
    except ValidationError as error:
        raise click.ClickException(" ".join(error.messages)) from error
    _print_configuration(registry, secret)


@command.command("secret")
@click.argument("name")
@click.option("--from-file", type=click.File(), help="Take the secret from this file (- is the standard input).")
def set_secret(name: str, from_file: TextIO | None) -> None:
    """Give NAME's notifications a secret: a new one, which is printed once with what its configuration must say.

    From then on nothing is believed that comes without it.
    """
    registry = _find(name)
    secret = from_file.read().strip() if from_file else secrets.token_hex(32)
    try:
        operations.set_notification_secret(registry, secret, actor=None)
    except ValidationError as error:
        raise click.ClickException(" ".join(error.messages)) from error
    _print_configuration(registry, PLACEHOLDER if from_file else secret)


@command.command("set")
@click.argument("name")
@click.option("--token-key-header", type=click.Choice([*TokenKeyHeader.values[1:], "automatic"]), required=True)
def set_header(name: str, token_key_header: str) -> None:
    """Set how tokens for NAME name the key that signed them; `portus doctor` tells which one it takes."""
    header = TokenKeyHeader("" if token_key_header == "automatic" else token_key_header)  # noqa: S105 - no password
    operations.set_token_key_header(_find(name), header, actor=None)


@command.command()
@click.argument("name")
def configuration(name: str) -> None:
    """Print what the configuration of NAME (distribution 2.x or 3.x) must say. Only its owner knows the secret."""
    _print_configuration(_find(name), PLACEHOLDER)


def _find(name: str) -> Registry:
    registry = Registry.objects.filter(name=name).first() or Registry.objects.known_as(name)
    if registry is None:
        known = ", ".join(Registry.objects.values_list("name", flat=True)) or "none"
        raise click.ClickException(f"There is no registry {name}; there is: {known}.")
    return registry


def _require_registry(registry: Registry) -> None:
    try:
        found = RegistryClient(registry).ping()
    except RegistryError as error:
        raise click.ClickException(f"{error} --force adds it nevertheless.") from error
    if found is None:
        raise click.ClickException(f"{registry.base_url}/v2/ is no registry. --force adds it nevertheless.")


def _print_configuration(registry: Registry, secret: str) -> None:
    options = settings.PORTUS
    content = registry_configuration.for_portus(
        options,
        service=registry.shown_hostname,
        bundle=registry_configuration.bundle(options),
        events_url=options.public_url,
        secret=secret,
    )
    click.echo("# rootcertbundle is a copy of that file where the registry runs; it holds no secret.")
    click.echo(yaml.safe_dump(content, sort_keys=False), nl=False)
