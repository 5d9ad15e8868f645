import os
import subprocess

import pytest

from portus.tests.servers.portus import PORTUS


@pytest.fixture
def portus(tmp_path):
    """Run a command as an operator does: with a folder for the data, and nothing of our environment but the PATH."""

    def run(*arguments, text=None, **environ):
        variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PORTUS_DATA": str(tmp_path / "data")}
        return subprocess.run(
            [PORTUS, *arguments],
            check=False,
            capture_output=True,
            text=True,
            input=text,
            cwd=tmp_path,
            env={**variables, **environ},
            timeout=120,
        )

    return run
