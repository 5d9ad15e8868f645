"""Database fields that behave the same on SQLite, PostgreSQL and MariaDB."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class ExactCharField(models.CharField[str, str]):
    """Text whose comparisons are exact: `v1`, `V1` and `v1 ` are three values on every database.

    MariaDB folds case and pads with blanks unless the column says otherwise; a name in a registry does neither.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_nopad_bin"
        return parameters
