"""Where values come from: the local file and the environment, each entry with its origin."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from portus.config.options import Options

PREFIX = "PORTUS_"

# Read by `load` apart from the tree.
RUNTIME_VARIABLES = frozenset(
    PREFIX + name
    for name in (
        "DATA", "PORT", "BIND", "SECRET_KEY_BASE", "KEY_PATH", "KEY_CERTIFICATE_PATH", "PASSWORD", "LOG_LEVEL",
        "LOCAL_CONFIG_PATH", "BACKGROUND", "INIT_COMMAND", "DB_ADAPTER", "DB_HOST", "DB_USERNAME", "DB_PASSWORD",
        "DB_DATABASE", "DB_PORT", "DB_POOL", "DB_TIMEOUT", "DB_SOCKET", "INIT_REGISTRY_NAME",
        "INIT_REGISTRY_HOSTNAME", "INIT_REGISTRY_USE_SSL", "PUMA_WORKERS", "PUMA_MAX_THREADS", "PUMA_HOST",
        "PUMA_TLS_KEY", "PUMA_TLS_CERT",
    )
)  # fmt: skip
SECRET_VARIABLES = frozenset({"PORTUS_SECRET_KEY_BASE", "PORTUS_PASSWORD", "PORTUS_DB_PASSWORD", "DATABASE_URL"})
WITHOUT_EFFECT = {
    "PORTUS_PUMA_DAEMONIZE": "run `portus web` under a service manager instead",
    "PORTUS_PUMA_USE_UNIX_SOCKET": "Portus listens on an address and a port",
    "PORTUS_GEM_GLOBAL": "there is no Ruby",
    "PORTUS_USE_SSL": "set PORTUS_PUBLIC_URL",
    "PORTUS_DB_TIMEOUT": "it had none in Portus 2.4 either",
    "PORTUS_DB_POOL": "each thread keeps one connection",
    "PORTUS_FORCE_DIGEST_UPDATE": "digests are always kept up to date",
}
RENAMED = {
    "PORTUS_MACHINE_FQDN": "PORTUS_MACHINE_FQDN_VALUE",
    "PORTUS_JWT_EXPIRATION_TIME": "PORTUS_REGISTRY_JWT_EXPIRATION_TIME_VALUE",
    "PORTUS_LDAP_METHOD": "PORTUS_LDAP_ENCRYPTION_METHOD",
    "PORTUS_PRODUCTION_HOST": "PORTUS_DB_HOST",
    "PORTUS_PRODUCTION_USERNAME": "PORTUS_DB_USERNAME",
    "PORTUS_PRODUCTION_PASSWORD": "PORTUS_DB_PASSWORD",
    "PORTUS_PRODUCTION_DATABASE": "PORTUS_DB_DATABASE",
}
RENAMED_KEYS = {"ldap.method": "ldap.encryption.method", "jwt_expiration_time": "registry.jwt_expiration_time.value"}
# Kubernetes puts these into every container beside a service called `portus`; tools of others read the last ones.
FOREIGN = re.compile(r"PORTUS_(SERVICE_|PORT_|INTEGRATION_|HEALTH_|TEST_|VCR_)|PORTUSCTL_")


class ConfigurationError(Exception):
    """The configuration is wrong; `problems` has one sentence for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass
class Collected:
    """What the sources say: values and origins by dotted key, and what is wrong with them."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def put(self, key: str, value: Any, origin: str) -> None:
        self.values[key] = value
        self.origins[key] = origin


def leaves(model: type[BaseModel] = Options, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key that may be set, dotted, with its field; the runtime group has no keys."""
    for name, info in model.model_fields.items():
        key = prefix + (info.alias or name)
        if key == "runtime":
            continue
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from leaves(kind, f"{key}.")
        else:
            yield key, info


LEAVES = dict(leaves())
SECTIONS = frozenset(key[:at] for key in LEAVES for at, letter in enumerate(key) if letter == ".")
VARIABLES = {PREFIX + key.upper().replace(".", "_"): key for key in LEAVES}


def is_secret(key: str) -> bool:
    return LEAVES[key].annotation is SecretStr


def nearest(name: str, known: "Iterator[str] | frozenset[str] | dict[str, Any]") -> str:
    """Return "; did you mean X?" for a name that looks like a known one, else ""."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f"; did you mean {found[0]}?" if found else "."


def read_environment(environ: Mapping[str, str], into: Collected) -> dict[str, str]:
    """Put what the environment says into `into`, and return its variables with secrets read from their files."""
    variables = _with_files(environ, into)
    for name, raw in variables.items():
        if not name.startswith(PREFIX) or FOREIGN.match(name) or raw.startswith("tcp://") or name in RUNTIME_VARIABLES:
            if name in WITHOUT_EFFECT:
                into.notices.append(f"{name} has no effect: {WITHOUT_EFFECT[name]}.")
            continue
        if name in WITHOUT_EFFECT:
            into.notices.append(f"{name} has no effect: {WITHOUT_EFFECT[name]}.")
        elif name in VARIABLES:
            key = VARIABLES[name]
            if not (is_secret(key) and raw == ""):
                into.put(key, raw, name)
        elif name in RENAMED:
            if not raw or variables.get(RENAMED[name]):
                continue
            into.problems.append(f"{name} is called {RENAMED[name]} now.")
        else:
            known = {**VARIABLES, **dict.fromkeys(RUNTIME_VARIABLES)}
            into.problems.append(f"{name} is not a variable of Portus{nearest(name, known)}")
    return variables


def _with_files(environ: Mapping[str, str], into: Collected) -> dict[str, str]:
    """Return the variables without one pair of quotes around values, and with `<NAME>_FILE` replaced by its content."""
    variables = {name: _unquoted(value) for name, value in environ.items()}
    secrets = SECRET_VARIABLES | {name for name, key in VARIABLES.items() if is_secret(key)}
    for name in sorted(secrets):
        path = variables.pop(f"{name}_FILE", "")
        if not path or variables.get(name):
            continue
        try:
            variables[name] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            into.problems.append(f"{name}_FILE: {path} cannot be read ({getattr(error, 'strerror', None) or error}).")
    return variables


def _unquoted(value: str) -> str:
    """Remove the quotes that compose files in list form leave in the value."""
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def local_file(variables: Mapping[str, str], data: Path, into: Collected) -> Path | None:
    """Return the operator's file, or None; one that is named must be there."""
    named = variables.get("PORTUS_LOCAL_CONFIG_PATH")
    if named:
        if Path(named).is_file():
            return Path(named)
        into.problems.append(f"PORTUS_LOCAL_CONFIG_PATH: there is no file {named}.")
        return None
    places = (Path("config/config-local.yml"), data / "config-local.yml", Path("/srv/Portus/config/config-local.yml"))
    return next((place for place in places if place.is_file()), None)


def read_file(path: Path, into: Collected) -> None:
    """Put what the local file says into `into`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        into.problems.append(f"{path} cannot be read ({error}).")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        into.problems.append(f"{path} is not YAML{f' (line {mark.line + 1})' if mark else ''}.")
    else:
        if isinstance(content, dict):
            _read_section(path, content, "", into)
        else:
            into.problems.append(f"{path} has the wrong format: it must be a mapping of sections.")


def _read_section(path: Path, section: dict[Any, Any], prefix: str, into: Collected) -> None:
    for name, value in section.items():
        key = f"{prefix}{name}"
        if key in LEAVES:
            if value is not None:
                into.put(key, value, path.name)
        elif key in SECTIONS:
            _read_subsection(path, key, value, into)
        elif key in RENAMED_KEYS:
            into.problems.append(f"{path.name}: {key} is called {RENAMED_KEYS[key]} now.")
        else:
            into.problems.append(f"{path.name}: {key} is not an option of Portus{nearest(key, LEAVES)}")


def _read_subsection(path: Path, key: str, value: Any, into: Collected) -> None:
    if isinstance(value, dict):
        _read_section(path, value, f"{key}.", into)
    elif isinstance(value, bool) and f"{key}.enabled" in LEAVES:
        into.put(f"{key}.enabled", value, path.name)  # `signup: false`, as people write it
    elif value is not None:
        into.problems.append(f"{path.name}: {key} is a section; give the options below it.")
