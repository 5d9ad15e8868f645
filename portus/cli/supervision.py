"""supervisor, which keeps the processes of `portus up` alive and ends them together: its configuration, and its start.

python -m portus.cli.supervision <configuration>
"""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from supervisor import supervisord
from supervisor.options import ServerOptions

# Longer than what the web server gives its workers to finish their requests.
KILL_AFTER_SECONDS = 10
# What ends sooner did not really start: the next attempt comes a second later than the last, and so on.
STARTED_AFTER_SECONDS = 10
ATTEMPTS = 1000
TURN_SECONDS = 0.1
ENV = "/usr/bin/env"


@dataclass(frozen=True)
class Program:
    """A program that is to run. `environ`, if given, is all that it sees; a program of ours sees what we see."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    once: bool = False


def portus(*arguments: str) -> tuple[str, ...]:
    """Return the command line of a command of ours; it names no secret, which all come in the environment."""
    return (sys.executable, "-m", "portus.cli", *arguments)


def command_line(configuration: Path) -> list[str]:
    return [sys.executable, "-m", __name__, str(configuration)]


def run(configuration: str) -> NoReturn:
    """Be supervisor, until SIGTERM, SIGINT, or SIGHUP: a terminal that is closed takes Portus with it."""
    options = ServerOptions()
    options.realize(["-c", configuration], doc=supervisord.__doc__)
    options.first, options.test = True, False
    poll = options.poller.poll
    # A signal does not wake it, and it takes several turns to stop; at its own pace Ctrl-C takes four seconds.
    options.poller.poll = lambda timeout: poll(min(timeout, TURN_SECONDS))
    supervisord.go(options)
    sys.exit()


def configuration(programs: Iterable[Program]) -> str:
    """Return supervisor's configuration for the programs; its own files are beside it."""
    lines = [
        "[supervisord]",
        "nodaemon=true",
        "logfile=/dev/null",
        "logfile_maxbytes=0",
        "loglevel=warn",
        "pidfile=%(here)s/supervisord.pid",
        "childlogdir=%(here)s",
        *(["user=root"] if os.geteuid() == 0 else []),
    ]
    for program in programs:
        lines += ["", *_section(program)]
    # In one group all are told to end at once, not one after the other.
    names = ",".join(program.name for program in programs)
    return "\n".join([*lines, "", "[group:portus]", f"programs={names}", ""])


def _section(program: Program) -> list[str]:
    restart = ["autorestart=true", f"startsecs={STARTED_AFTER_SECONDS}", f"startretries={ATTEMPTS}"]
    if program.once:
        restart = ["autorestart=false", "startsecs=0"]
    return [
        f"[program:{program.name}]",
        f"command={_command(program)}",
        *restart,
        "stopsignal=TERM",
        f"stopwaitsecs={KILL_AFTER_SECONDS}",
        "killasgroup=true",
        "stdout_logfile=/dev/fd/1",
        "stdout_logfile_maxbytes=0",
        "redirect_stderr=true",
    ]


def _command(program: Program) -> str:
    """Return the command line as supervisor reads it. A program ends with supervisor, however that ends."""
    command = list(program.command)
    if program.environ:
        command = [ENV, "-i", *(f"{name}={value}" for name, value in program.environ.items()), *command]
    setpriv = shutil.which("setpriv")
    if setpriv:
        command = [setpriv, "--pdeathsig", "TERM", "--", *command]
    return " ".join(_quoted(part) for part in command)


def _quoted(text: str) -> str:
    """Quote for supervisor, which splits as a shell does, but takes a comment sign after a blank for one even so."""
    quoted = shlex.quote(text)
    for sign in "#;":
        quoted = quoted.replace(f" {sign}", f" ''{sign}")
    return _escaped(quoted)


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


if __name__ == "__main__":
    run(sys.argv[1])
