import io
import json
import logging

import pytest

from portus import logs


@pytest.fixture
def logged(monkeypatch):
    """Log something that fails, and return what is written."""

    def log(**environ):
        monkeypatch.delenv("FORCE_COLOR", raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logs.formatter())
        logger = logging.getLogger("portus.somewhere")
        monkeypatch.setattr(logger, "handlers", [handler])
        monkeypatch.setattr(logger, "propagate", False)
        password = "a-password-that-is-a-local-variable"
        try:
            raise ValueError(len(password))
        except ValueError:
            logger.exception("It failed for %s.", "alice")
        return stream.getvalue()

    return log


def test_a_program_gets_one_json_object_a_line(logged):
    (line,) = logged().splitlines()

    said = json.loads(line)
    assert said["event"] == "It failed for alice."
    assert (said["level"], said["logger"]) == ("error", "portus.somewhere")
    assert "ValueError: 35" in said["exception"]
    assert "timestamp" in said


def test_a_person_gets_readable_lines(logged):
    said = logged(FORCE_COLOR="1")

    assert "It failed for alice." in said
    assert "ValueError: 35" in said
    assert "{" not in said


@pytest.mark.parametrize("environ", [{}, {"FORCE_COLOR": "1"}])
def test_values_of_local_variables_are_in_no_line(logged, environ):
    assert "a-password-that-is" not in logged(**environ)
