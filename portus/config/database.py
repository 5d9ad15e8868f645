"""Which database: DATABASE_URL over PORTUS_DB_*, as Portus 2.4 put it together; SQLite when nothing is said."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from portus.config.sources import Collected, Environment

ENGINES = {
    "mysql2": "mariadb", "mysql": "mariadb", "mariadb": "mariadb", "postgresql": "postgresql",
    "postgres": "postgresql", "sqlite": "sqlite", "sqlite3": "sqlite",
}  # fmt: skip
# What an address may ask of the driver; for the rest of what 2.4's framework took there is nothing to set.
PARAMETERS = {
    "postgresql": frozenset(
        {"sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "application_name", "target_session_attrs"}
    ),
    "mariadb": frozenset({"ssl_mode", "sslca", "sslcert", "sslkey", "connect_timeout"}),
    "sqlite": frozenset(),
}
CERTIFICATES = frozenset({"sslca", "sslcert", "sslkey"})
WITHOUT_EFFECT = frozenset({"pool", "timeout", "encoding", "reconnect", "prepared_statements"})
FROM_VARIABLE = {
    "name": "PORTUS_DB_DATABASE",
    "user": "PORTUS_DB_USERNAME",
    "password": "PORTUS_DB_PASSWORD",
    "host": "PORTUS_DB_HOST",
    "port": "PORTUS_DB_PORT",
    "socket": "PORTUS_DB_SOCKET",
}
DEFAULTS = {"name": "portus_production", "user": "root", "host": "localhost"}


def read_database(environment: Environment, data: Path, found: Collected) -> None:
    """Put `runtime.database`."""
    said = {field: name for field, name in FROM_VARIABLE.items() if environment.get(name)}
    adapter = environment.get("PORTUS_DB_ADAPTER")
    url = _address(environment, found)
    if url is None:
        return
    engine = "sqlite"
    if url.geturl():
        engine = ENGINES.get(url.scheme, "")
        _put("engine", engine, environment.origin("DATABASE_URL"), found)
    elif adapter or said:
        engine = ENGINES.get(adapter or "mysql2", "")
        _put("engine", engine, "PORTUS_DB_ADAPTER" if adapter else None, found)
    if not engine:
        del found.values["runtime.database.engine"]
        found.problems.append(f"{found.origins['runtime.database.engine']} is none of mysql2, postgresql, sqlite3.")
        return
    _put_fields(engine, url, environment, data, found)
    _put_parameters(engine, url, environment, found)


def _address(environment: Environment, found: Collected) -> SplitResult | None:
    """Return DATABASE_URL in parts, empty ones when there is none; None when it is no address."""
    try:
        url = urlsplit(environment.get("DATABASE_URL"))
        url.port  # noqa: B018  (raises when it is not a number)
    except ValueError:
        found.problems.append("DATABASE_URL is not an address: its host or port is wrong.")
        return None
    return url


def _put_fields(engine: str, url: SplitResult, environment: Environment, data: Path, found: Collected) -> None:
    """Put what the address says, else the variable, else the default."""
    path = unquote(url.path)
    addressed = {
        "name": path if engine == "sqlite" else path.strip("/"),
        "user": unquote(url.username or ""),
        "password": unquote(url.password or ""),
        "host": url.hostname or "",
        "port": str(url.port or ""),
    }
    defaults = {"name": str(data / "portus.sqlite3")} if engine == "sqlite" else DEFAULTS
    for field, name in FROM_VARIABLE.items():
        if addressed.get(field):
            _put(field, addressed[field], environment.origin("DATABASE_URL"), found)
        elif environment.get(name):
            _put(field, environment.get(name), environment.origin(name), found)
        elif field in defaults:
            _put(field, defaults[field], None, found)


def _put_parameters(engine: str, url: SplitResult, environment: Environment, found: Collected) -> None:
    """Put what the address asks of the driver."""
    asked = dict(parse_qsl(url.query))
    for name in sorted(asked.keys() - PARAMETERS[engine]):
        if name in WITHOUT_EFFECT:
            found.notices.append(f"DATABASE_URL: the parameter {name} has no effect.")
        else:
            found.problems.append(f"DATABASE_URL: {name} is not a parameter that Portus knows for this database.")
    known: dict[str, Any] = {name: value for name, value in asked.items() if name in PARAMETERS[engine]}
    if not known.get("connect_timeout", "0").isdecimal():
        found.problems.append("DATABASE_URL: connect_timeout is not a whole number of seconds.")
    elif "connect_timeout" in known:
        known["connect_timeout"] = int(known["connect_timeout"])
    if engine == "mariadb":
        known = _certificates_in_a_group(known)
    if known:
        _put("options", known, environment.origin("DATABASE_URL"), found)


def _certificates_in_a_group(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters in the form that MariaDB's driver wants."""
    group = {name.removeprefix("ssl"): value for name, value in known.items() if name in CERTIFICATES}
    others = {name: value for name, value in known.items() if name not in CERTIFICATES}
    return {**others, "ssl": group} if group else others


def _put(field: str, value: Any, origin: str | None, found: Collected) -> None:
    found.values[f"runtime.database.{field}"] = value
    if origin:
        found.origins[f"runtime.database.{field}"] = origin
