"""How a log line looks: for people at a terminal, as JSON for everything else."""

import logging
import os
import sys

import structlog


def formatter() -> logging.Formatter:
    """Return the formatter of the one handler: coloured lines on a terminal, else one JSON object a line."""
    # `portus up` sets the variable when a person reads what we write into its pipe.
    to_person = sys.stderr.isatty() or "FORCE_COLOR" in os.environ
    render: list[structlog.types.Processor]
    if to_person:
        # Where rich is installed, structlog would print the values of local variables, passwords among them.
        render = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    prepare: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=prepare,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
