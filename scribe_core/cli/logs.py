"""Where log lines go: to stderr, without keys. Libraries only get a logger; this is the one place that says how."""

import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

HIDDEN = "***"
PROGRESS = "judging"
"""The event that costs money while it goes on: whoever waits for it wants to see it."""

ROUTINE = "stamina.retry_scheduled"
"""A call that is made again: what comes of it is told by its verdict."""

_SECRET_NAME = re.compile(
    r"(?i)(api|access|private|secret)_?key$|(^|_)(token|secret|password|authorization)$"
)


def configure(verbose: bool = False) -> None:
    """Log lines of all levels with `verbose`, else warnings, errors, and how far judging is."""
    structlog.configure(
        processors=[
            *([] if verbose else [_only_what_matters]),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.processors.format_exc_info,
            hide_secrets,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        # stderr is looked up for each line, because tests and notebooks replace it.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _only_what_matters(_: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if event.get("event") == ROUTINE or (level == "info" and event.get("event") != PROGRESS):
        raise structlog.DropEvent
    return event


def hide_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blanks what is named like a secret, and the values of environment variables that are."""
    secrets = [value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= 8]
    return {
        key: HIDDEN if _SECRET_NAME.search(key) else _hidden(value, secrets) for key, value in event.items()
    }


def _hidden(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _SECRET_NAME.search(str(key)) else _hidden(each, secrets)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_hidden(each, secrets) for each in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
    return value
