"""docs/configuration.md says what the options say."""

import ast

import pytest

from portus.config.manual import PAGE, with_tables
from portus.config.sources import LEAVES, RENAMED, RUNTIME_VARIABLES, VARIABLES, WITHOUT_EFFECT
from portus.config.unused import NOT_YET, not_yet

SOURCE = PAGE.parents[1] / "portus"


def test_the_tables_are_those_of_the_options():
    page = PAGE.read_text(encoding="utf-8")

    assert page == with_tables(page), "write them anew: .venv/bin/python -m portus.config.manual"


@pytest.mark.parametrize("name", sorted({*VARIABLES, *RUNTIME_VARIABLES, *RENAMED, *WITHOUT_EFFECT, *LEAVES}))
def test_every_name_is_on_the_page(name):
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("part", NOT_YET)
def test_what_has_no_effect_is_an_option_or_a_section(part):
    assert any(key == part or key.startswith(f"{part}.") for key in LEAVES)


@pytest.fixture(scope="module")
def read():
    """Each dotted name that our code reads, such as settings.PORTUS.web.port; comments and texts are none."""
    sources = [path for path in SOURCE.rglob("*.py") if not {"tests", "testing.py"} & set(path.parts)]
    nodes = [node for path in sources for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    return {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}


@pytest.mark.parametrize("key", [key for key in LEAVES if not not_yet(key)])
def test_every_option_is_read_somewhere_or_said_to_have_no_effect(read, key):
    assert read & {f"settings.PORTUS.{key}", f"options.{key}", key}
