"""What an operation objects to, in the words of Portus 2.4, which its clients compare."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError

# By the code of the error; what has no words here is said in our own.
REASONS = {
    "blank": "can't be blank",
    "null": "can't be blank",
    "unique": "has already been taken",
    "invalid": "is invalid",
    "no_namespace": "'{name}' cannot be transformed into a valid namespace name",
    "password_too_short": "is too short (minimum is {min_length} characters)",
    "max_length": "is too long (maximum is {limit_value} characters)",
    "namespace_name": (
        "can only contain lower case alphanumeric characters, with optional underscores and dashes in the middle."
    ),
    "global": "global namespace cannot be private",
}


# Rules that Portus 2.4 answers with one sentence instead of reasons by field.
RULES = frozenset({"admin", "only_owner"})


def reasons(errors: Iterable[ValidationError]) -> list[str]:
    """Return the reasons of one field, each once."""
    return list(dict.fromkeys(map(_reason, errors)))


def _reason(error: ValidationError) -> str:
    template = REASONS.get(error.code or "")
    return template.format_map(error.params or {}) if template else " ".join(error.messages)
