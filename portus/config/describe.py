"""The effective configuration, for people: every value and where it came from."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, SecretStr

from portus.config.load import Loaded

MASK = "********"


@dataclass(frozen=True)
class Row:
    key: str
    value: str
    origin: str


def describe(loaded: Loaded) -> list[Row]:
    """Return every option with its value, secrets masked, and its origin."""
    return list(_rows(loaded.options, "", loaded))


def _rows(section: BaseModel, prefix: str, loaded: Loaded) -> list[Row]:
    rows: list[Row] = []
    for name, info in type(section).model_fields.items():
        key = prefix + (info.alias or name)
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            rows += _rows(value, f"{key}.", loaded)
        else:
            rows.append(Row(key, _shown(key, value), loaded.origins.get(key, "default")))
    return rows


def _shown(key: str, value: Any) -> str:
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if key in {"runtime.secret_key_base", "runtime.database.password"}:
        return MASK if value else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value)
    if isinstance(value, Enum):
        return str(value.value)
    return "" if value is None else str(value)
