"""bin/run makes an environment once and starts what stands beside it; what it would install is left out here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
INSTALLING = "Installing what Portus needs"


@pytest.fixture
def bare_checkout(tmp_path):
    """A checkout that requires nothing, with a `portus` that says what it was called with."""
    place = tmp_path / "a checkout"
    (place / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "bin/run", place / "bin/run")
    (place / "requirements").mkdir()
    (place / "requirements/base.txt").write_text("# nothing\n")
    (place / "portus/cli").mkdir(parents=True)
    (place / "portus/__init__.py").touch()
    (place / "portus/cli/__init__.py").write_text(
        "import os, sys\ndef main(prog_name): print(prog_name, sys.argv[1:], os.getcwd())\n"
    )
    return place


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environment") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def checkout(bare_checkout, environment):
    """One whose environment, which takes most of the time, is made; nothing is installed in it."""
    shutil.copytree(environment, bare_checkout / ".venv", symlinks=True)
    return bare_checkout


def run(checkout, *arguments, **environ):
    return subprocess.run(
        [checkout / "bin/run", *arguments],
        check=False, capture_output=True, text=True, cwd=checkout.parent, timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": str(checkout), "PIP_NO_INDEX": "1", **environ},
    )  # fmt: skip


def test_it_says_what_is_missing_where_there_is_no_python(bare_checkout, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "env", "dirname", "readlink", "mkdir", "cat", "sha256sum"):
        (programs / name).symlink_to(shutil.which(name))

    done = run(bare_checkout, PATH=str(programs))

    assert done.returncode == 1
    assert done.stderr == "bin/run: Python 3.11 or later is needed, as python3 on the PATH.\n"


def test_it_says_that_the_requirements_could_not_be_installed(checkout):
    (checkout / "requirements/base.txt").write_text(f"portus-needs-this==1.0 --hash=sha256:{'0' * 64}\n")

    done = run(checkout)

    assert done.returncode == 1
    assert done.stderr.endswith("bin/run: the requirements could not be installed; is there a network?\n")
    assert not (checkout / ".venv/installed").exists()


def test_it_installs_once_and_again_when_something_changed(bare_checkout):
    first, second = run(bare_checkout, "--help"), run(bare_checkout)
    (bare_checkout / "requirements/base.txt").write_text("# still nothing\n")
    third = run(bare_checkout)

    assert first.returncode == 0, first.stderr
    assert INSTALLING in first.stdout
    assert f"portus ['up', '--help'] {bare_checkout.parent}\n" in first.stdout
    assert second.stdout == f"portus ['up'] {bare_checkout.parent}\n"
    assert INSTALLING in third.stdout


def test_it_finds_its_folder_through_a_link(checkout, tmp_path):
    link = tmp_path / "elsewhere"
    link.symlink_to(checkout / "bin/run")

    done = subprocess.run([link], check=False, capture_output=True, text=True, cwd=tmp_path, timeout=120)

    assert done.returncode == 0, done.stderr
    assert (checkout / ".venv/installed").exists()


def test_a_checkout_may_move(checkout):
    run(checkout)
    moved = checkout.rename(checkout.with_name("moved"))

    done = run(moved)

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"portus ['up'] {moved.parent}\n")
