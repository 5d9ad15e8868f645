"""Where values come from: the local file and the environment, each entry with its origin."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, SecretStr

from portus.config.options import FALSE, TRUE, Options

PREFIX = "PORTUS_"

# Read by `load` apart from the tree.
RUNTIME_VARIABLES = frozenset(
    PREFIX + name
    for name in (
        "DATA", "SECRET_KEY_BASE", "KEY_PATH", "KEY_CERTIFICATE_PATH", "PASSWORD", "LOG_LEVEL", "LOCAL_CONFIG_PATH",
        "DB_ADAPTER", "DB_HOST", "DB_USERNAME", "DB_PASSWORD", "DB_DATABASE", "DB_PORT", "DB_SOCKET",
        "INIT_REGISTRY_NAME", "INIT_REGISTRY_HOSTNAME", "INIT_REGISTRY_USE_SSL", "BIND", "PORT",
        "PUMA_HOST", "PUMA_WORKERS", "PUMA_MAX_THREADS", "PUMA_TLS_KEY", "PUMA_TLS_CERT",
    )
)  # fmt: skip
SECRET_VARIABLES = frozenset({"PORTUS_SECRET_KEY_BASE", "PORTUS_PASSWORD", "PORTUS_DB_PASSWORD", "DATABASE_URL"})
WITHOUT_EFFECT = {
    "PORTUS_BACKGROUND": "run `portus background`",
    "PORTUS_INIT_COMMAND": "run the command instead of `portus web`",
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
# Kubernetes tells every container of the services beside it, here those called `portus` or `portus-…`; all but these
# names are told by their values, tcp://10.0.0.1:3000 say. Tools and tests of others read the last ones.
FOREIGN = re.compile(
    r"PORTUS_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$"
    r"|PORTUS_(INTEGRATION|HEALTH|TEST|VCR)_|PORTUSCTL_"
)
KUBERNETES = re.compile(r"(tcp|udp|sctp)://")


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


@dataclass(frozen=True)
class Environment:
    """The variables as they count: without quotes and noise, secrets read from their files."""

    variables: Mapping[str, str]
    from_files: frozenset[str]

    def get(self, name: str) -> str:
        return self.variables.get(name, "")

    def origin(self, name: str) -> str:
        return f"{name}_FILE" if name in self.from_files else name


@dataclass(frozen=True)
class Leaf:
    """An option that may be set."""

    key: str
    kind: Any
    default: Any
    meaning: str


def leaves(model: type[BaseModel] = Options, prefix: str = "", section_meaning: str = "") -> Iterator[Leaf]:
    """Yield every option that may be set; the runtime group has none."""
    for name, info in model.model_fields.items():
        key, kind = prefix + (info.alias or name), info.annotation
        meaning = info.description or section_meaning
        if key == "runtime":
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from leaves(kind, f"{key}.", meaning)
        else:
            yield Leaf(key, kind, info.default, meaning)


LEAVES = {leaf.key: leaf for leaf in leaves()}
SECTIONS = frozenset(key[:at] for key in LEAVES for at, letter in enumerate(key) if letter == ".")
VARIABLES = {PREFIX + key.upper().replace(".", "_"): key for key in LEAVES}


def value_of(options: Options, key: str) -> Any:
    """Return what the options say for a dotted key."""
    value: Any = options
    for name in key.split("."):
        fields = {info.alias or field: field for field, info in type(value).model_fields.items()}
        value = getattr(value, fields[name])
    return value


def is_secret(key: str) -> bool:
    return LEAVES[key].kind is SecretStr


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean X?" for a name that looks like a known one, else "."."""
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return f"; did you mean {found[0]}?" if found else "."


def read_environment(environ: Mapping[str, str], into: Collected) -> Environment:
    """Put what the environment says into `into`, and return its variables as they count."""
    found = _environment(environ, into)
    _read_puma(found, into)
    for name, value in found.variables.items():
        if name.startswith(PREFIX) and name not in RUNTIME_VARIABLES:
            _read_variable(name, value, found, into)
    for key, name in (("web.bind", "PORTUS_BIND"), ("web.port", "PORTUS_PORT")):
        if found.get(name):
            into.put(key, found.get(name), name)
    return found


def _environment(environ: Mapping[str, str], into: Collected) -> Environment:
    """Return the variables that count, with `<NAME>_FILE` replaced by the file's content."""
    variables = {name: _unquoted(value) for name, value in environ.items() if not _is_noise(name, value)}
    from_files = set()
    for name in sorted(SECRET_VARIABLES | {name for name, key in VARIABLES.items() if is_secret(key)}):
        path = variables.pop(f"{name}_FILE", "")
        if not path or variables.get(name):
            continue
        from_files.add(name)
        try:
            variables[name] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            into.problems.append(f"{name}_FILE: {path} cannot be read ({reason(error)}).")
    return Environment(variables, frozenset(from_files))


def _is_noise(name: str, value: str) -> bool:
    ours = name.startswith(PREFIX) or name == "REGISTRY_PORT"
    return bool(FOREIGN.match(name)) or (ours and bool(KUBERNETES.match(value)))


def _unquoted(value: str) -> str:
    """Remove the quotes that compose files in list form leave in the value."""
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def _read_puma(found: Environment, into: Collected) -> None:
    """Read the names that Portus 2.4 had for its web server; ours, which are read afterwards, beat them."""
    host, port = _host_and_port(found.get("PORTUS_PUMA_HOST"))
    workers = found.get("PORTUS_PUMA_WORKERS")
    for key, name, value in (
        ("web.bind", "PORTUS_PUMA_HOST", host),
        ("web.port", "PORTUS_PUMA_HOST", port),
        ("web.workers", "PORTUS_PUMA_WORKERS", "1" if workers == "0" else workers),  # 0 was "no further process"
        ("web.threads", "PORTUS_PUMA_MAX_THREADS", found.get("PORTUS_PUMA_MAX_THREADS")),
        ("web.tls_key", "PORTUS_PUMA_TLS_KEY", found.get("PORTUS_PUMA_TLS_KEY")),
        ("web.tls_certificate", "PORTUS_PUMA_TLS_CERT", found.get("PORTUS_PUMA_TLS_CERT")),
    ):
        if value:
            into.put(key, value, name)


def _host_and_port(address: str) -> tuple[str, str]:
    """Split `host:port`, `[::]:port` or a host alone."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, ""
    return host.strip("[]"), port


def _read_variable(name: str, value: str, found: Environment, into: Collected) -> None:
    if name in WITHOUT_EFFECT:
        into.notices.append(f"{name} has no effect: {WITHOUT_EFFECT[name]}.")
    elif name in VARIABLES:
        if value or _counts_when_empty(VARIABLES[name]):
            into.put(VARIABLES[name], value, found.origin(name))
    elif name in RENAMED:
        if value and not found.get(RENAMED[name]):
            into.problems.append(f"{name} is called {RENAMED[name]} now.")
    else:
        known = {*VARIABLES, *RUNTIME_VARIABLES}
        into.problems.append(f"{name} is not a variable of Portus{nearest(name, known)}")


def _counts_when_empty(key: str) -> bool:
    """Tell whether an empty variable is a value: of a text it is, of a number it says nothing.

    Portus 2.4's image exported secrets that nobody had set as empty, so those say nothing either.
    """
    kind = LEAVES[key].kind
    return kind is str or "" in get_args(kind)


def local_file(found: Environment, data: Path, into: Collected) -> Path | None:
    """Return the operator's file, or None; one that is named must be there."""
    named = found.get("PORTUS_LOCAL_CONFIG_PATH")
    if named:
        if Path(named).is_file():
            return Path(named)
        into.problems.append(f"PORTUS_LOCAL_CONFIG_PATH: there is no file {named}.")
        return None
    places = (Path("config/config-local.yml"), data / "config-local.yml", Path("/srv/Portus/config/config-local.yml"))
    return next((place for place in places if place.is_file()), None)


class _Loader(yaml.SafeLoader):
    """Reads every value as the text that stands there; the option's type says what it means.

    Guessing by looks made 83 of the password 0123, and dates of tag names.
    """

    yaml_implicit_resolvers = {
        letter: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in {"null", "merge"}]
        for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for number, (key, _) in enumerate(node.value):
            if names.index(key.value) < number:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands there twice", key.start_mark)
        return super().construct_mapping(node, deep)


def read_file(path: Path, into: Collected) -> None:
    """Put what the local file says into `into`."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        into.problems.append(f"{path} cannot be read ({reason(error)}).")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        into.problems.append(f"{path} is not YAML{line}: {getattr(error, 'problem', None) or error}.")
    else:
        if isinstance(content, dict):
            _read_section(path, content, "", into)
        elif content is not None:
            into.problems.append(f"{path} has the wrong format: it must be a mapping of sections.")


def reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)


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
            into.problems.append(f"{path.name}: {key} is not an option of Portus{nearest(key, {*LEAVES, *SECTIONS})}")


def _read_subsection(path: Path, key: str, value: Any, into: Collected) -> None:
    if isinstance(value, dict):
        _read_section(path, value, f"{key}.", into)
    elif isinstance(value, str) and value.lower() in TRUE | FALSE and f"{key}.enabled" in LEAVES:
        into.put(f"{key}.enabled", value, path.name)  # `signup: false`, as people write it
    elif value is not None:
        into.problems.append(f"{path.name}: {key} is a section; give the options below it.")
