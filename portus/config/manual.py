"""The tables of docs/configuration.md, made from the options themselves.

python -m portus.config.manual writes them into the page anew; a test says when that is due.
"""

from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr

from portus.config.sources import LEAVES, RENAMED, RENAMED_KEYS, VARIABLES, WITHOUT_EFFECT, Leaf
from portus.config.unused import not_yet

PAGE = Path(__file__).parents[2] / "docs/configuration.md"
BEGIN, END = "<!-- The tables: made by `python -m portus.config.manual`. -->", "<!-- The end of the tables. -->"
TITLES = {
    "email": "Mail",
    "gravatar": "Pictures of users",
    "delete": "Deletion",
    "ldap": "LDAP",
    "oauth": "Sign-in with other services",
    "user_permission": "What users may do",
    "registry": "The registry",
    "security": "Scanners",
    "background": "The background process",
    "pagination": "Lists",
    "proxies": "Proxies",
    "cors": "Pages of other sites",
    "web": "The web server",
}
_VARIABLE = {key: variable for variable, key in VARIABLES.items()}


def tables() -> str:
    """Return every option, by section, and the names of Portus 2.4 that say nothing any more."""
    return "\n".join([*_options(), *_old_names()])


def with_tables(page: str) -> str:
    """Return the page with the tables as they are now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


def _options() -> list[str]:
    lines = []
    order = list(dict.fromkeys(map(_title, LEAVES.values())))
    for title, leaves in groupby(sorted(LEAVES.values(), key=lambda leaf: order.index(_title(leaf))), _title):
        section = list(leaves)
        missing = {not_yet(leaf.key) for leaf in section}
        lines += ["", f"### {title}", ""]
        if len(missing) == 1 and None not in missing:
            lines += [f"No effect in this version: {missing.pop()}.", ""]
            missing = {None}
        lines += ["| Option | Variable | Default | Meaning |", "|---|---|---|---|"]
        lines += [_row(leaf, told=missing == {None}) for leaf in section]
    return lines[1:]


def _title(leaf: Leaf) -> str:
    return TITLES.get(leaf.key.partition(".")[0], "General")


def _row(leaf: Leaf, *, told: bool) -> str:
    missing = None if told else not_yet(leaf.key)
    meaning = f"{_meaning(leaf)} **No effect in this version**: {missing}." if missing else _meaning(leaf)
    return f"| `{leaf.key}` | `{_VARIABLE[leaf.key]}` | {_default(leaf)} | {meaning} |".replace("  ", " ")


def _default(leaf: Leaf) -> str:
    value = leaf.default
    if isinstance(value, SecretStr) or value in {"", None}:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value.value if isinstance(value, Enum) else value}`"


def _meaning(leaf: Leaf) -> str:
    parts = [leaf.meaning]
    if choices := _choices(leaf.kind):
        parts.append(f"One of {', '.join(f'`{choice}`' for choice in choices)}.")
    if leaf.kind is SecretStr:
        parts.append(f"Secret: also from a file, `{_VARIABLE[leaf.key]}_FILE`.")
    return " ".join(parts).replace("|", "\\|")


def _choices(kind: Any) -> list[str]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [member.value for member in kind]
    return [choice for choice in get_args(kind) if isinstance(choice, str) and choice]


def _old_names() -> list[str]:
    lines = ["", "### Names that Portus 2.4 had", "", "| Name | Now |", "|---|---|"]
    lines += [f"| `{old}` | a mistake: it is called `{new}` |" for old, new in (RENAMED_KEYS | RENAMED).items()]
    lines += [f"| `{name}` | no effect: {reason} |" for name, reason in WITHOUT_EFFECT.items()]
    lines.append("| `PORTUS_PASSWORD` | not needed: there is no `portus` user |")
    return [*lines, ""]


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
