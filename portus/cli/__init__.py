"""The `portus` command. Each of its commands has a file of its own, which is loaded only when it is called."""

import importlib
import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import click

from portus import VERSION
from portus.cli import place


@dataclass(frozen=True)
class Entry:
    """What is known of a command without loading it: `--help` needs neither Django nor a good configuration."""

    summary: str
    needs_django: bool = True
    hidden: bool = False


COMMANDS = {
    "up": Entry("Start everything here: registry, web and background, until Ctrl-C.", needs_django=False),
    "web": Entry("Serve the pages, the API and the token service.", needs_django=False),
    "background": Entry("Handle what the registries report, and whatever else may take a while."),
    "migrate": Entry("Prepare the database, the keys and the static files.", needs_django=False),
    "doctor": Entry("Check this installation and its registries; say what to mend."),
    "config": Entry("Print every option with its value and where it comes from.", needs_django=False),
    "registry": Entry("Add registries, set their secrets, and print what their configuration must say."),
    "keys": Entry("Replace the key that signs tokens."),
    "ready": Entry("Say when Portus answers; `up` runs it.", needs_django=False, hidden=True),
}


class Commands(click.Group):
    """Finds commands in the table above; the module of each holds it as `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return [name for name, entry in COMMANDS.items() if not entry.hidden]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        os.umask(0o077)  # whatever a command makes may hold password hashes, keys or private images
        if entry.needs_django:
            # Before the settings are read: what is up here has an address that the environment does not tell.
            place.adopt(os.environ)
        command: click.Command = load(cmd_name, needs_django=entry.needs_django).command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PermissionError as error:
            # Data that another user has made, root mostly: nothing that a traceback would help with.
            raise click.ClickException(
                f"{error.filename or 'A file'} cannot be used ({error.strerror}): run Portus as the user to whom it "
                "belongs, or set PORTUS_DATA to another folder."
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, COMMANDS[name].summary) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def load(name: str, *, needs_django: bool = True) -> ModuleType:
    """Import a module of this package; one that imports models needs Django set up before."""
    if needs_django:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portus.settings")
        importlib.import_module("django").setup()
    return importlib.import_module(f"portus.cli.{name}")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(VERSION, prog_name="portus", message="%(prog)s %(version)s")
def main() -> None:
    """Portus: who may push to and pull from a container registry, and what is in it.

    `portus up` starts everything on this machine. In production, `portus migrate` prepares, and `portus web` and
    `portus background` run as services of their own. Options are read from the environment (PORTUS_*) and from
    config-local.yml; `portus config` prints them.
    """
