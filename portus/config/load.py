"""Putting the sources together, and checking that what they say fits together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from portus.config import unused
from portus.config.database import read_database
from portus.config.options import Options
from portus.config.sources import (
    LEAVES,
    Collected,
    ConfigurationError,
    Environment,
    is_secret,
    local_file,
    read_environment,
    read_file,
    reason,
    value_of,
)

LOG_LEVELS = {
    "debug": "debug", "info": "info", "warn": "warning", "warning": "warning", "error": "error",
    "fatal": "critical", "critical": "critical", "unknown": "critical",
}  # fmt: skip
MESSAGES = {
    "string_type": "must be a text",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
}
# It signs sessions and what is in the queues: whoever guesses it is everybody. Ours and that of 2.4's guide have 128.
SHORTEST_SECRET_KEY = 32  # characters


@dataclass(frozen=True)
class Loaded:
    """The options in force, where each that is not a default came from, and what an operator should know."""

    options: Options
    origins: Mapping[str, str]
    notices: tuple[str, ...]


def load(environ: Mapping[str, str]) -> Loaded:
    """Return the effective configuration; raise ConfigurationError with every mistake at once."""
    found = Collected()
    environment = read_environment(environ, found)
    data = Path(environment.get("PORTUS_DATA") or "data").absolute()
    path = _findable(environment, data, found)
    if path:
        from_file = Collected()
        read_file(path, from_file)
        found.values = {**from_file.values, **found.values}
        found.origins = {**from_file.origins, **found.origins}
        found.problems += from_file.problems
    _read_runtime(environment, data, found)
    options = _validated(found)
    if options:
        options = _completed(options, found)
    if found.problems or options is None:
        raise ConfigurationError(sorted(set(found.problems)))
    found.notices += unused.notices(_set_by_somebody(options, found))
    return Loaded(options, found.origins, tuple(found.notices))


def _findable(environment: Environment, data: Path, found: Collected) -> Path | None:
    """Return the operator's file; a folder that we may not look into is a mistake, as there may be one in it."""
    try:
        return local_file(environment, data, found)
    except OSError as error:
        found.problems.append(f"{error.filename} cannot be read ({reason(error)}).")
    return None


def missing_secret_key(options: Options) -> str:
    """Return what is wrong for a server that has no secret key, as sessions signed with a known one could be forged."""
    if options.runtime.secret_key_base:
        return ""
    return (
        "PORTUS_SECRET_KEY_BASE is not set: set it to 64 random bytes, or run `portus migrate`, which makes one in "
        f"{options.runtime.data}."
    )


def _set_by_somebody(options: Options, found: Collected) -> list[str]:
    """Return the keys that have another value than the default."""
    return [key for key, leaf in LEAVES.items() if key in found.origins and value_of(options, key) != leaf.default]


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
    while location and ".".join(location) not in found.values:
        location = location[:-1]
    key = ".".join(location)
    message = MESSAGES.get(problem["type"], "").format(**problem.get("ctx", {}))
    message = message or problem["msg"].removeprefix("Value error, ")
    if not message.startswith(("is ", "must ")):
        message = f"is wrong: {message}"
    origin = found.origins.get(key, "default")
    subject = origin if key.startswith("runtime.") else f"{key} (from {origin})"
    return f"{subject} {message}{_what_it_is(key, message, found)}."


def _what_it_is(key: str, message: str, found: Collected) -> str:
    """Return the wrong value as the end of a sentence, unless the message says it all or nobody may see it."""
    value = found.values[key]
    if message == "is empty" or (key in LEAVES and is_secret(key)):
        return ""
    shown = repr(value) if isinstance(value, str) else f"a {type(value).__name__}"
    shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
    return f", not {shown}" if message.startswith("must ") else f": {shown}"


def _completed(options: Options, found: Collected) -> Options:
    """Fill in what follows from other options, and look at what does not fit together."""
    _check_pairs(options, found)
    changes: dict[str, Any] = {}
    prefix = options.runtime.url_prefix
    if not options.public_url:
        changes["public_url"] = f"https://{options.machine_fqdn.value}{prefix}"
        found.origins["public_url"] = "machine_fqdn.value"
    elif prefix != urlsplit(options.public_url).path:
        if prefix:
            origin = found.origins["public_url"]
            found.problems.append(f"public_url (from {origin}) must end in {prefix}, as RAILS_RELATIVE_URL_ROOT says.")
        prefix = urlsplit(options.public_url).path
        changes["runtime"] = options.runtime.model_copy(update={"url_prefix": prefix})
        found.origins["runtime.url_prefix"] = "public_url"
    if options.pagination.limit is not None:
        changes["pagination"] = options.pagination.model_copy(update={"per_page": options.pagination.limit})
        found.origins["pagination.per_page"] = "pagination.limit"
    return options.model_copy(update=changes)


def _check_pairs(options: Options, found: Collected) -> None:
    web, runtime = options.web, options.runtime
    if bool(web.tls_key) != bool(web.tls_certificate):
        found.problems.append("web.tls_key and web.tls_certificate go together: one of them is missing.")
    for key, path in (("web.tls_key", web.tls_key), ("web.tls_certificate", web.tls_certificate)):
        _check_readable(f"{key} (from {found.origins.get(key)})", path, found)
    if runtime.key_certificate_path and not runtime.key_path:
        found.problems.append("PORTUS_KEY_CERTIFICATE_PATH is the certificate of PORTUS_KEY_PATH, which is missing.")
    if bool(runtime.init_registry_hostname) != ("runtime.init_registry_use_ssl" in found.origins):
        found.problems.append("PORTUS_INIT_REGISTRY_HOSTNAME and PORTUS_INIT_REGISTRY_USE_SSL go together.")


def _check_readable(subject: str, path: str, found: Collected) -> None:
    if not path:
        return
    try:
        Path(path).read_bytes()
    except OSError as error:
        found.problems.append(f"{subject}: {path} cannot be read ({reason(error)}).")


def _read_runtime(environment: Environment, data: Path, found: Collected) -> None:
    """Put the group that only the environment sets."""
    found.values["runtime.data"] = data
    if environment.get("PORTUS_DATA"):
        found.origins["runtime.data"] = "PORTUS_DATA"
    _read_secret_key_base(environment, data, found)
    for key, name, read in (
        ("registry_port", "REGISTRY_PORT", str),
        ("key_path", "PORTUS_KEY_PATH", lambda path: Path(path).absolute()),
        ("key_certificate_path", "PORTUS_KEY_CERTIFICATE_PATH", lambda path: Path(path).absolute()),
        ("url_prefix", "RAILS_RELATIVE_URL_ROOT", _prefix),
        ("init_registry_name", "PORTUS_INIT_REGISTRY_NAME", str),
        ("init_registry_hostname", "PORTUS_INIT_REGISTRY_HOSTNAME", str.strip),
        ("init_registry_use_ssl", "PORTUS_INIT_REGISTRY_USE_SSL", str),
    ):
        if environment.get(name):
            found.put(f"runtime.{key}", read(environment.get(name)), name)
    for name in ("PORTUS_KEY_PATH", "PORTUS_KEY_CERTIFICATE_PATH"):
        _check_readable(name, environment.get(name), found)
    _read_log_level(environment, found)
    _read_time_zone(environment, found)
    read_database(environment, data, found)
    if environment.get("PORTUS_PASSWORD"):
        found.notices.append("PORTUS_PASSWORD is no longer needed: there is no `portus` user any more.")


def _read_secret_key_base(environment: Environment, data: Path, found: Collected) -> None:
    """Put the operator's secret, else the one that `portus up` or `portus migrate` made."""
    name, key = "PORTUS_SECRET_KEY_BASE", "runtime.secret_key_base"
    made = data / "secret_key_base"
    if environment.get(name):
        found.put(key, environment.get(name), environment.origin(name))
    else:
        try:
            if made.is_file():
                found.put(key, made.read_text(encoding="utf-8").strip(), str(made))
        except (OSError, UnicodeDecodeError) as error:
            found.problems.append(f"{made} cannot be read ({reason(error)}).")
    if key in found.values and len(found.values[key]) < SHORTEST_SECRET_KEY:
        origin = found.origins[key]
        cure = ": remove it, and `portus migrate` makes a new one" if origin == str(made) else ""
        found.problems.append(f"{origin} must have at least {SHORTEST_SECRET_KEY} characters{cure}.")


def _read_log_level(environment: Environment, found: Collected) -> None:
    level = environment.get("PORTUS_LOG_LEVEL").lower()
    if level and level not in LOG_LEVELS:
        found.problems.append(f"PORTUS_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {level!r}.")
    elif level:
        found.put("runtime.log_level", LOG_LEVELS[level], "PORTUS_LOG_LEVEL")


def _read_time_zone(environment: Environment, found: Collected) -> None:
    name = environment.get("TZ")
    if not name:
        return
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        found.problems.append(f"TZ: there is no time zone {name!r}.")
    else:
        found.put("runtime.time_zone", name, "TZ")


def _prefix(value: str) -> str:
    path = value.strip("/")
    return f"/{path}" if path else ""
