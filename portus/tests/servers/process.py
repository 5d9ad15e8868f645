"""A server program that runs in the foreground and ends with the test run, however that ends."""

import grp
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class ServerError(Exception):
    """A server did not come up; the text ends with the last lines it wrote."""


class Process:
    """One server program; its output is in a file, because a full pipe would block it."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        environ: Mapping[str, str] | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        cwd: Path | None = None,
    ) -> None:
        self.command = [str(part) for part in command]
        self.log_path = log
        self.environ = dict(os.environ if environ is None else environ)
        self.user = user
        self.stop_signal = stop_signal
        self.cwd = cwd
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._popen is not None, "not started"
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_status(self) -> int | None:
        return None if self._popen is None else self._popen.poll()

    def start(self) -> None:
        # The kernel delivers the signal when the test run dies, so a killed run leaves no server behind.
        guard = ["--pdeathsig", self.stop_signal.name.removeprefix("SIG")]
        with self.log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                ["setpriv", *guard, *identity(self.user), "--", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environ,
                cwd=self.cwd,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops its servers in order
            )

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = 30) -> None:
        """Return when ready() says so; raise ServerError when the program ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.is_running:
                raise ServerError(f"{self.command[0]} ended with status {self.exit_status}:\n{self.last_lines()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServerError(f"{self.command[0]} was not ready after {seconds} s:\n{self.last_lines()}")
            time.sleep(0.02)

    def stop(self, *, seconds: float = 15) -> int | None:
        """Ask the program to end, insist when it does not; its exit status, None if it was never started."""
        if self._popen is None:
            return None
        if self._popen.poll() is None:
            self._popen.send_signal(self.stop_signal)
            try:
                self._popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        return self._popen.wait()

    def kill(self) -> None:
        """End the program as a crash would."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def last_lines(self, count: int = 25) -> str:
        return "\n".join(self.log().splitlines()[-count:])


def identity(user: str | None) -> list[str]:
    """The options of setpriv that make a program run as user; none for ourselves."""
    if user is None:
        return []
    group = grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    return ["--reuid", user, "--regid", group, "--clear-groups"]


def run(command: Sequence[str | Path], *, environ: Mapping[str, str], user: str | None = None, text: str = "") -> None:
    """Run a set-up program to its end, with text on its standard input; raise ServerError unless it succeeds."""
    done = subprocess.run(
        ["setpriv", *identity(user), "--", *map(str, command)],
        check=False,
        input=text,
        capture_output=True,
        text=True,
        env=dict(environ),
        cwd="/",  # another user may not be allowed into ours
    )
    if done.returncode:
        raise ServerError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
