"""skopeo as the container client: its own home, no configuration of the machine, plain HTTP allowed."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NOT_RUN = "NOT RUN: the tests with a container client, for want of skopeo (bin/test installs it)"
Result = subprocess.CompletedProcess[str]


def has_skopeo() -> bool:
    return shutil.which("skopeo") is not None


@dataclass(frozen=True)
class Skopeo:
    """One person's client: who logs in here is known to the later commands of the same object.

    Every method returns the finished process, whatever its status; `source` and `destination` are complete references
    (`docker://127.0.0.1:5000/team/app:1`, or what the writers in `images` return).
    """

    home: Path

    def login(self, address: str, user: str, password: str) -> Result:
        return self._run("login", "--tls-verify=false", "-u", user, "--password-stdin", address, text=password)

    def logout(self, address: str) -> Result:
        return self._run("logout", address)

    def copy(self, source: str, destination: str, *options: str) -> Result:
        """Copy the whole of it, all platforms, with manifest and digests unchanged where the kinds allow it."""
        tls = ["--src-tls-verify=false"] if source.startswith("docker:") else []
        tls += ["--dest-tls-verify=false"] if destination.startswith("docker:") else []
        return self._run("copy", "--all", *tls, *options, source, destination)

    def inspect(self, reference: str, *options: str) -> Result:
        """Output is JSON; `--raw` gives the manifest as it is."""
        return self._run("inspect", "--tls-verify=false", *options, reference)

    def tags(self, repository: str) -> Result:
        return self._run("list-tags", "--tls-verify=false", repository)

    def delete(self, reference: str) -> Result:
        return self._run("delete", "--tls-verify=false", reference)

    def _run(self, command: str, *arguments: str, text: str = "") -> Result:
        authentication = self.home / "auth.json"
        self.home.mkdir(parents=True, exist_ok=True)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home),
            "REGISTRY_AUTH_FILE": str(authentication),
        }
        return subprocess.run(
            ["skopeo", "--insecure-policy", "--tmpdir", str(self.home), command, *arguments],
            check=False,
            input=text,
            capture_output=True,
            text=True,
            env=environ,
            timeout=60,
        )
