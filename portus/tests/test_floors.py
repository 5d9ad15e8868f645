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
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = {name.strip() for floor in contracts[0]["layers"] for name in floor.split(":")}
    modules = {name for name in grimp.build_graph("portus").modules if not WITHOUT_FLOOR.match(name)}

    homeless = [
        name
        for name in modules
        if not any(name == floor or name.startswith(f"{floor}.") or floor.startswith(f"{name}.") for floor in floors)
    ]

    assert homeless == []


@pytest.mark.parametrize("room", sorted(path.name for path in (ROOT / "portus").glob("[!_]*")))
def test_every_room_is_described(room):
    assert room in (ROOT / "docs/architecture.md").read_text()
