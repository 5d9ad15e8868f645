"""Database fields that behave the same on SQLite, PostgreSQL and MariaDB."""

from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models
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


class ExactCharField(_CharField[_Set, _Get]):
    """Text whose comparisons are exact: `v1`, `V1` and `v1 ` are three values on every database.

    MariaDB folds case and pads with blanks unless the column says otherwise; a name in a registry does neither.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_nopad_bin"
        return parameters
