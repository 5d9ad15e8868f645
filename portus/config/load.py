"""Putting the sources together, and checking that what they say fits together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from portus.config.options import Options
from portus.config.sources import Collected, ConfigurationError, local_file, read_environment, read_file

LOG_LEVELS = {
    "debug": "debug", "info": "info", "warn": "warning", "warning": "warning", "error": "error",
    "fatal": "critical", "critical": "critical", "unknown": "critical",
}  # fmt: skip
ENGINES = {
    "mysql2": "mariadb", "mysql": "mariadb", "mariadb": "mariadb", "postgresql": "postgresql",
    "postgres": "postgresql", "sqlite": "sqlite", "sqlite3": "sqlite",
}  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """The options in force, where each that is not a default came from, and what an operator should know."""

    options: Options
    origins: Mapping[str, str]
    notices: tuple[str, ...]


def load(environ: Mapping[str, str]) -> Loaded:
    """Return the effective configuration; raise ConfigurationError with every mistake at once."""
    found = Collected()
    variables = read_environment(environ, found)
    data = Path(variables.get("PORTUS_DATA") or "data").absolute()
    path = local_file(variables, data, found)
    if path:
        from_file = Collected()
        read_file(path, from_file)
        found.values = {**from_file.values, **found.values}
        found.origins = {**from_file.origins, **found.origins}
        found.problems += from_file.problems
    _read_server_variables(variables, found)
    found.put("runtime", _runtime(variables, data, found), "environment")
    options = _validated(found)
    if found.problems or options is None:
        raise ConfigurationError(sorted(set(found.problems)))
    origins = {key: origin for key, origin in found.origins.items() if key != "runtime"}
    return Loaded(_completed(options), origins, tuple(found.notices))


def _read_server_variables(variables: Mapping[str, str], found: Collected) -> None:
    """Read what has a name of its own besides the option's, Portus 2.4's names for its web server among them."""
    host, _, port = variables.get("PORTUS_PUMA_HOST", "").rpartition(":")
    workers = variables.get("PORTUS_PUMA_WORKERS", "")
    for key, name, value in (
        ("web.workers", "PORTUS_PUMA_WORKERS", "1" if workers == "0" else workers),  # 0 was "no further process"
        ("web.threads", "PORTUS_PUMA_MAX_THREADS", variables.get("PORTUS_PUMA_MAX_THREADS")),
        ("web.tls_key", "PORTUS_PUMA_TLS_KEY", variables.get("PORTUS_PUMA_TLS_KEY")),
        ("web.tls_certificate", "PORTUS_PUMA_TLS_CERT", variables.get("PORTUS_PUMA_TLS_CERT")),
        ("web.bind", "PORTUS_PUMA_HOST", host),
        ("web.port", "PORTUS_PUMA_HOST", port if host else ""),
        ("web.bind", "PORTUS_BIND", variables.get("PORTUS_BIND")),
        ("web.port", "PORTUS_PORT", variables.get("PORTUS_PORT")),
    ):  # fmt: skip
        if value and not value.startswith("tcp://"):
            found.put(key, value, name)


def _validated(found: Collected) -> Options | None:
    try:
        return Options.model_validate(_nested(found.values))
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            found.problems.append(_sentence(problem, found))
    return None


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, leaf = key.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[leaf] = value
    return tree


def _sentence(problem: Any, found: Collected) -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    while key and key not in found.origins:
        location = location[:-1]
        key = ".".join(location)
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in {"enum", "literal_error"}:
        message = f"must be {problem['ctx']['expected']}"
    if not message.startswith(("is ", "must ")):
        message = f"is wrong: {message}"
    origin = found.origins.get(key, "default")
    if key == "runtime":
        return f"The environment: {'.'.join(str(part) for part in problem['loc'][1:])} {message}."
    return f"{key} (from {origin}) {message}."


def _completed(options: Options) -> Options:
    """Fill in what follows from other options."""
    changes: dict[str, Any] = {}
    url = options.public_url or f"https://{options.machine_fqdn.value}{options.runtime.url_prefix}"
    changes["public_url"] = url
    prefix = options.runtime.url_prefix or urlsplit(url).path
    if prefix != options.runtime.url_prefix:
        changes["runtime"] = options.runtime.model_copy(update={"url_prefix": prefix})
    if options.pagination.limit is not None:
        changes["pagination"] = options.pagination.model_copy(update={"per_page": options.pagination.limit})
    return options.model_copy(update=changes)


def _runtime(variables: Mapping[str, str], data: Path, found: Collected) -> dict[str, Any]:
    """Return the group that only the environment sets."""
    if variables.get("PORTUS_PASSWORD"):
        found.notices.append("PORTUS_PASSWORD is no longer needed: there is no `portus` user any more.")
    level = variables.get("PORTUS_LOG_LEVEL", "info").lower()
    if level not in LOG_LEVELS:
        found.problems.append(f"PORTUS_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {level or 'empty'}.")
    registry_port = variables.get("REGISTRY_PORT") or "5000"
    return {
        "data": data,
        # Kubernetes again: a service called `registry` puts tcp://… there.
        "registry_port": "5000" if registry_port.startswith("tcp://") else registry_port,
        "secret_key_base": variables.get("PORTUS_SECRET_KEY_BASE") or _made_by_up(data),
        "key_path": _file("PORTUS_KEY_PATH", variables, found),
        "key_certificate_path": _file("PORTUS_KEY_CERTIFICATE_PATH", variables, found),
        "log_level": LOG_LEVELS.get(level, "info"),
        "time_zone": _time_zone(variables, found),
        "url_prefix": _prefix(variables.get("RAILS_RELATIVE_URL_ROOT", "")),
        **_init_registry(variables, found),
        "database": _database(variables, data, found),
    }


def _made_by_up(data: Path) -> str:
    try:
        return (data / "secret_key_base").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _file(name: str, variables: Mapping[str, str], found: Collected) -> Path | None:
    value = variables.get(name)
    if not value:
        return None
    path = Path(value).absolute()
    try:
        path.read_bytes()
    except OSError as error:
        found.problems.append(f"{name}: {value} cannot be read ({error.strerror}).")
    return path


def _time_zone(variables: Mapping[str, str], found: Collected) -> str:
    name = variables.get("TZ") or "UTC"
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        found.problems.append(f"TZ: there is no time zone {name}.")
        return "UTC"
    return name


def _prefix(value: str) -> str:
    path = value.strip("/")
    return f"/{path}" if path else ""


def _init_registry(variables: Mapping[str, str], found: Collected) -> dict[str, Any]:
    hostname = variables.get("PORTUS_INIT_REGISTRY_HOSTNAME", "").strip()
    use_ssl = variables.get("PORTUS_INIT_REGISTRY_USE_SSL", "").strip().lower()
    if bool(hostname) != bool(use_ssl):
        found.problems.append("PORTUS_INIT_REGISTRY_HOSTNAME and PORTUS_INIT_REGISTRY_USE_SSL go together.")
    if use_ssl and use_ssl not in {"true", "t", "1", "on", "yes", "y", "false", "f", "0", "off", "no", "n"}:
        found.problems.append("PORTUS_INIT_REGISTRY_USE_SSL is neither true nor false.")
    return {
        "init_registry_name": variables.get("PORTUS_INIT_REGISTRY_NAME") or "registry",
        "init_registry_hostname": hostname,
        "init_registry_use_ssl": use_ssl in {"true", "t", "1", "on", "yes", "y"},
    }


def _database(variables: Mapping[str, str], data: Path, found: Collected) -> dict[str, Any]:
    """Return the database, as Portus 2.4 put it together: DATABASE_URL over PORTUS_DB_*; SQLite when nothing is said."""
    said = {
        name: variables.get(f"PORTUS_DB_{name.upper()}", "")
        for name in ("adapter", "host", "username", "password", "database", "port", "socket")
    }
    url = variables.get("DATABASE_URL", "")
    if not url and not any(said.values()):
        return {"engine": "sqlite", "name": str(data / "portus.sqlite3")}
    adapter = said["adapter"] or "mysql2"
    parts = urlsplit(url)
    engine = ENGINES.get(parts.scheme if url else adapter)
    if engine is None:
        source = f"DATABASE_URL: {parts.scheme}" if url else f"PORTUS_DB_ADAPTER: {adapter}"
        found.problems.append(f"{source} is none of mysql2, postgresql, sqlite3.")
        return {}
    try:
        port = parts.port or int(said["port"] or 0) or None
    except ValueError:
        found.problems.append("The port of the database is not a number.")
        port = None
    path = unquote(parts.path)
    if engine == "sqlite":
        return {"engine": engine, "name": path or said["database"] or str(data / "portus.sqlite3")}
    return {
        "engine": engine,
        "name": path.strip("/") or said["database"] or "portus_production",
        "user": unquote(parts.username or "") or said["username"] or "root",
        "password": unquote(parts.password or "") or said["password"],
        "host": parts.hostname or said["host"] or "localhost",
        "port": port,
        "socket": said["socket"],
    }
