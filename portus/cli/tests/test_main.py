import subprocess
import sys

import pytest

from portus import VERSION
from portus.cli import COMMANDS


def test_help_lists_the_commands_whatever_the_configuration_says(portus):
    done = portus("--help", PORTUS_PORT="many")

    assert done.returncode == 0
    assert all(name in done.stdout for name, entry in COMMANDS.items() if not entry.hidden)
    assert "ready" not in done.stdout
    assert done.stderr == ""


def test_it_tells_its_version(portus):
    assert portus("--version").stdout == f"portus {VERSION}\n"


def test_help_and_configuration_do_not_load_django():
    code = "import sys, portus.cli; portus.cli.load('config', needs_django=False); print('django' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "False\n"


def test_an_unknown_command_is_a_mistake(portus):
    done = portus("serve")

    assert done.returncode == 2
    assert "No such command 'serve'" in done.stderr


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "ready"])
def test_every_command_explains_itself(portus, name):
    done = portus(name, "--help")

    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 5


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"ready", "registry", "keys"}])
def test_no_command_starts_with_a_wrong_configuration(portus, tmp_path, name):
    done = portus(name, PORTUS_PORT="many", PORTUS_LOG_LEVEL="loud")

    assert done.returncode == 2
    assert done.stdout == ""
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()] == ["PORTUS_LOG_LEVEL", "web.port"]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["web", "background"])
def test_no_server_starts_without_a_secret_key(portus, name):
    done = portus(name)

    assert done.returncode == 2
    assert done.stderr.startswith("PORTUS_SECRET_KEY_BASE is not set: ")
    assert len(done.stderr.splitlines()) == 1


def test_no_other_server_serves_without_one_either(python):
    done = python("import portus.wsgi")

    assert done.returncode == 2
    assert done.stderr.startswith("PORTUS_SECRET_KEY_BASE is not set: ")
    assert len(done.stderr.splitlines()) == 1


def test_what_needs_no_key_has_one_that_nobody_can_guess(python):
    code = "from django.conf import settings; print(settings.SECRET_KEY)"

    keys = {python(code).stdout.strip() for _ in range(2)}

    assert [len(key) for key in keys] == [128, 128]


@pytest.fixture
def python(tmp_path):
    """Run some code as another server would: with the settings alone, and without a secret."""

    def run(code):
        environ = {"PORTUS_DATA": str(tmp_path / "data"), "DJANGO_SETTINGS_MODULE": "portus.settings"}
        return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environ)

    return run
