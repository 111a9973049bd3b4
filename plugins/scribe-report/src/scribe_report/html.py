"""Text from files as text on a page. Everything that a run's files hold passes through `text`."""

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any
from unicodedata import category

MAX_TEXT = 1600
NONE = "\N{EN DASH}"
"""Stands where nothing is known."""

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}


def text(value: object, limit: int | None = None) -> str:
    """Escaped, with what nobody can see made visible; cut where it is longer than `limit` characters."""
    whole = str(value)
    shown = whole if limit is None else whole[:limit]
    visible = "".join(c if c in "\n\t" or category(c) not in _HIDDEN else "\ufffd" for c in shown)
    left = len(whole) - len(shown)
    return html.escape(visible) + (f'<span class="cut"> … {left:,} more characters</span>' if left else "")


def flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and JSON values of nested tables."""
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            yield from flat(item, f"{name}.")
        else:
            yield name, json.dumps(item, ensure_ascii=False)


def percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def points(value: float) -> str:
    """A difference of shares, in percentage points with its sign."""
    return f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
