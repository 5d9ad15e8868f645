"""docs/configuration.md says what the options say."""

import re

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


@pytest.mark.parametrize("key", [key for key in LEAVES if not not_yet(key)])
def test_every_option_is_read_somewhere_or_said_to_have_no_effect(key):
    sources = [path for path in SOURCE.rglob("*.py") if not {"tests", "migrations"} & set(path.parts)]
    last_two = ".".join(key.split(".")[-2:]) if key != "pagination.limit" else "options.pagination.limit"

    assert any(re.search(rf"\b{re.escape(last_two)}\b", path.read_text(encoding="utf-8")) for path in sources)
