import os
import shutil
import subprocess

import pytest

from portus.tests.servers.portus import PORTUS


def run(home, *arguments, text=None, **environ):
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "PORTUS_DATA": str(home / "data")}
    return subprocess.run(
        [PORTUS, *arguments],
        check=False,
        capture_output=True,
        text=True,
        input=text,
        cwd=home,
        env={**variables, **environ},
        timeout=120,
    )


@pytest.fixture
def portus(tmp_path):
    """Run a command as an operator does: with a folder for the data, and nothing of our environment but the PATH."""
    return lambda *arguments, **options: run(tmp_path, *arguments, **options)


@pytest.fixture(scope="session")
def migrated_once(tmp_path_factory):
    home = tmp_path_factory.mktemp("migrated")
    done = run(home, "migrate")
    assert done.returncode == 0, done.stderr
    return home / "data"


@pytest.fixture
def migrated(migrated_once, tmp_path):
    """The folder that `portus` works on, as `portus migrate` has left it."""
    return shutil.copytree(migrated_once, tmp_path / "data")
