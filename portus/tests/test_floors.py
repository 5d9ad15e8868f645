"""Every module stands on one of the floors that import-linter holds, and every room is described."""

import re
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
# Tests and what serves them, Django's own, and the packages themselves.
WITHOUT_FLOOR = re.compile(r"portus\.(.+\.)?(tests|migrations|testing|apps)\b")


def test_every_module_has_a_floor():
    floors, edge, *_ = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    homes = [name.strip(" ()") for floor in floors["layers"] for name in floor.split(":")]
    by_name = re.compile("|".join(re.escape(name).replace(r"\*", r"\w+") for name in edge["forbidden_modules"]))
    modules = {name for name in grimp.build_graph("portus", cache_dir=None).modules if not WITHOUT_FLOOR.match(name)}

    homeless = [
        name
        for name in sorted(modules)
        if not by_name.fullmatch(name)
        and not any(f"{home}.".startswith(f"{name}.") for home in homes)
        and not any(name.startswith(f"{home}.") for home in homes)
    ]

    assert homeless == []


ROOMS = sorted(f"portus/{path.name}{'/' * path.is_dir()}" for path in (ROOT / "portus").glob("[!_]*"))


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_described(room):
    assert f"`{room}`" in (ROOT / "docs/architecture.md").read_text()
