"""Database fields, and inserting, that behave the same on SQLite, PostgreSQL and MariaDB."""

import re
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

DIGEST_LENGTH = 160  # characters; sha512 with its prefix takes 135

# What is set and what is got: the type checker makes both optional for a nullable column.
_Set = TypeVar("_Set")
_Get = TypeVar("_Get")

if TYPE_CHECKING:
    _CharField = models.CharField
else:

    class _CharField(models.CharField):
        """Django's own field, which is generic for the type checker alone."""

        def __class_getitem__(cls, _types: object) -> type:
            return cls


_NO_CHARACTERS = re.compile("[\0\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Return whether every database can store a text: it has neither NUL nor half a character."""
    return _NO_CHARACTERS.search(text) is None


def check_storable(value: str) -> None:
    """Raise ValidationError for a text of several lines with what no database can store in it."""
    if not is_storable(value):
        raise ValidationError("This text has characters that are none.", code="invalid")


def check_printable(value: str) -> None:
    """Raise ValidationError for control characters, and for what no database can store."""
    if not value.isprintable():
        raise ValidationError("Use printable characters only.", code="invalid")


class ExactCharField(_CharField[_Set, _Get]):
    """One line of text whose comparisons are exact: `v1`, `V1` and `v1 ` are three values on every database.

    MariaDB folds case and pads with blanks unless the column says otherwise; a name in a registry does neither.
    """

    default_validators = [check_printable]

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_nopad_bin"
        return parameters


def insert_once(row: models.Model, same: "models.QuerySet[Any]", problem: ValidationError) -> None:
    """Insert a row; raise `problem` when there is the `same` already, or from somebody else at this very moment."""
    save_once(row, same, problem, force_insert=True)


def save_once(row: models.Model, same: "models.QuerySet[Any]", problem: ValidationError, **options: Any) -> None:
    """Save a row that may be there only once, as `insert_once` does; `options` are those of `save`."""
    if same.exists():
        raise problem
    try:
        with transaction.atomic():
            row.save(**options)
    except IntegrityError as error:
        if same.exists():
            raise problem from error
        raise


def upsert(row: models.Model, *, key: list[str], fields: list[str]) -> None:
    """Insert a row, or set `fields` of the one with the same `key`, in one statement."""
    # MariaDB finds the conflicting row by itself and refuses to be told how.
    named = connection.features.supports_update_conflicts_with_target
    type(row)._default_manager.bulk_create(  # noqa: SLF001 - Django's name for it
        [row], update_conflicts=True, update_fields=fields, unique_fields=key if named else None
    )


def field_problem(field: str, sentence: str, code: str) -> ValidationError:
    """Return what an operation raises when one field breaks a rule; `code` says which, for programs."""
    return ValidationError({field: ValidationError(sentence, code=code)})
