import shlex

import pytest
from supervisor.options import ServerOptions

from portus.cli import supervision
from portus.cli.supervision import Program


def commands_read_by_supervisor(text, tmp_path):
    """Return the command lines as supervisor itself splits them, by the name of the program."""
    path = tmp_path / "supervisord.conf"
    path.write_text(text)
    options = ServerOptions()
    options.realize(["-c", str(path)])
    (group,) = options.process_group_configs
    return {config.name: config for config in group.process_configs}


@pytest.mark.parametrize(
    "odd",
    [
        "a b",
        "100 % of it",
        "%(ENV_HOME)s",
        "x ;y",
        "x #y",
        " ; #",
        "it's",
        'say "it"',
        "back\\slash",
        "$HOME",
        "ümläut",
        "'",
    ],
)
def test_what_is_asked_for_is_what_supervisor_reads(tmp_path, odd):
    text = supervision.configuration([Program("registry", ("/bin/echo", odd), environ={"HOME": odd})])

    config = commands_read_by_supervisor(text, tmp_path)["registry"]

    arguments = shlex.split(config.command)
    assert arguments[-2:] == ["/bin/echo", odd]
    assert f"HOME={odd}" in arguments


def test_all_are_in_one_group_so_that_they_end_together(tmp_path):
    programs = [Program(name, ("/bin/true",)) for name in ("registry", "web", "background")]

    found = commands_read_by_supervisor(supervision.configuration(programs), tmp_path)

    assert list(found) == ["registry", "web", "background"]


def test_what_runs_once_is_not_started_again(tmp_path):
    programs = [Program("web", ("/bin/true",)), Program("ready", ("/bin/true",), once=True)]

    found = commands_read_by_supervisor(supervision.configuration(programs), tmp_path)

    assert found["ready"].autorestart is False
    assert found["web"].autorestart is not False
    assert found["web"].startsecs > 0
