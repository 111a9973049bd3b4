"""Errors a user can act on: what is wrong, what would be right, what to do next."""

from collections.abc import Iterable
from difflib import get_close_matches


class ScribeError(Exception):
    """Base of every error that scribe raises on purpose; its text is written for the user."""


class ConfigError(ScribeError, ValueError):
    """A config, an option or a name is wrong. The command line exits with 2."""


class DataError(ScribeError, ValueError):
    """A file or record from outside is malformed. The command line exits with 2."""


class RunError(ScribeError, RuntimeError):
    """The work itself failed. The command line exits with 1."""


MAX_CHOICES = 30


def suggest(value: str, choices: Iterable[str]) -> str:
    """The tail of an error message: the nearest match, if any, then the first choices."""
    choices = sorted(choices)
    near = get_close_matches(value, choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    more = f" and {len(choices) - MAX_CHOICES} more" if len(choices) > MAX_CHOICES else ""
    listing = ", ".join(choices[:MAX_CHOICES]) + more if choices else "none"
    return f"{hint} (choices: {listing})"
