"""The programs of others that Portus runs: so far one, the registry."""

import logging
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

logger = logging.getLogger(__name__)

# Debian's package goes by the second name; a registry 3.x that somebody built is called by the first.
REGISTRY_NAMES = ("registry", "docker-registry")
PACKAGE = "docker-registry"


def find_registry(data: Path) -> Path | None:
    """Return a registry program: from the PATH, else from the tools folder below data, fetched there if it must be.

    None when there is none and none can be had; the reason is logged.
    """
    for name in REGISTRY_NAMES:
        found = shutil.which(name)
        if found and registry_version(Path(found)):
            return Path(found)
    kept = data / "tools" / PACKAGE
    return kept if registry_version(kept) else fetch_registry(data / "tools")


def registry_version(program: Path) -> str | None:
    """Return the version, "2.8.2" say; None when the program is missing, does not run or is no registry."""
    try:
        done = subprocess.run(  # noqa: S603  # the operator's own PATH decides which program this is
            [program, "--version"], check=False, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"/distribution(?:/v\d+)? v?(\d+\.\d+\.\d+)", done.stdout)
    return found[1] if found else None


def fetch_registry(folder: Path) -> Path | None:
    """Take the registry program out of Debian's package into folder, without root; None, logged, when that fails.

    The package is not installed: that would start a service on port 5000.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        logger.warning("A registry cannot be fetched here: this is no Debian.")
        return None
    logger.info("Taking a registry out of Debian's package %s.", PACKAGE)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as name:
        work = Path(name)
        try:
            _download(work)
            package = next(work.glob("*.deb"))
            _run(["dpkg-deb", "-x", package.name, "package"], work)
            program = work / "package/usr/bin" / PACKAGE
            if registry_version(program) is None:
                logger.warning("Debian's package %s holds no registry that runs here.", PACKAGE)
                return None
            return program.rename(folder / PACKAGE)
        except (OSError, StopIteration, subprocess.SubprocessError) as error:
            logger.warning("A registry could not be fetched from Debian: %s", _reason(error))
            return None


def _download(work: Path) -> None:
    """Download the package with the machine's package lists, else with lists of our own, which need no root."""
    try:
        _run(["apt-get", "download", PACKAGE], work)
    except subprocess.CalledProcessError:
        logger.info("Fetching Debian's package lists to find %s.", PACKAGE)
        for folder in ("lists/partial", "cache/archives/partial"):
            (work / folder).mkdir(parents=True)
        own = ["-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]
        _run(["apt-get", *own, "update"], work)
        _run(["apt-get", *own, "download", PACKAGE], work)


def _run(command: list[str], work: Path) -> None:
    if command[0] == "apt-get":
        # Without a network an answer is wanted soon. Root's apt would become a user who may not write into our folder.
        options = ["Acquire::Retries=0", "Acquire::http::Timeout=20", f"APT::Sandbox::User={_user()}"]
        command = ["apt-get", "-q", *(part for option in options for part in ("-o", option)), *command[1:]]
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    subprocess.run(  # noqa: S603  # nothing in the command comes from a person
        command, check=True, cwd=work, capture_output=True, text=True, timeout=180, env=environ
    )


def _user() -> str:
    return "root" if os.geteuid() == 0 else ""


def _reason(error: Exception) -> str:
    said: str = getattr(error, "stderr", None) or ""
    lines = said.strip().splitlines()
    return lines[-1] if lines else str(error)
