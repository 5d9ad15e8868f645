"""Which Portus this is."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from portus import VERSION
from portus.accounts.authentication import SIGNED_IN

router = Router(tags=["version"], auth=SIGNED_IN)

SECONDS_FOR_GIT = 5


class Git(Schema):
    tag: str | None = Field(None, description="The tag that is checked out.")
    branch: str | None = Field(None, description="The branch, when it is no tag.")
    commit: str | None = Field(None, description="The commit, when it is no tag.")


class VersionEntity(Schema):
    api_versions: list[str] = Field(alias="api-versions", description="The versions of this API.")
    git: Git | None = Field(description="What is checked out, in a checkout.")
    version: str = Field(description="The version of Portus.")


@router.get(
    "/version",
    response=VersionEntity,
    by_alias=True,
    exclude_unset=True,
    summary="Tell which version of Portus this is",
)
def show_version(request: HttpRequest) -> dict[str, object]:
    return {"api-versions": ["v1"], "git": checked_out(settings.BASE_DIR.parent), "version": VERSION}


@cache  # a process runs what it was started with
def checked_out(folder: Path) -> dict[str, str] | None:
    """Return the tag that is checked out in a folder, else branch and commit; None where no checkout is."""
    if not (folder / ".git").exists():
        return None
    if tag := _git(folder, "describe", "--tags", "--exact-match"):
        return {"tag": tag}
    branch, commit = _git(folder, "rev-parse", "--abbrev-ref", "HEAD"), _git(folder, "rev-parse", "--short=9", "HEAD")
    return {"branch": branch, "commit": commit} if branch and commit else None


def _git(folder: Path, *arguments: str) -> str:
    """Return what git says; "" when it says no, or is not there."""
    program = shutil.which("git")
    if program is None:
        return ""
    command = [program, "-C", str(folder), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            command, capture_output=True, text=True, check=False, timeout=SECONDS_FOR_GIT
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
