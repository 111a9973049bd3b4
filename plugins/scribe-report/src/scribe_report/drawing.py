"""How every chart looks, and how it becomes part of a page. matplotlib without pyplot: no window, no global figure."""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import accumulate
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scribe_report.html import text

P = ParamSpec("P")

INK, MUTED, FAINT = "#1f2933", "#66788a", "#e4e8ed"
BEFORE, AFTER = "#9aa8b5", "#1f6feb"
SERIES = ("#1f6feb", "#d9730d", "#2b8a3e", "#8a3ffc", "#c92a2a", "#0b7285")
WIDTH = 9.6
"""Inches; the page shows 96 pixels for each."""

MAX_POINTS = 1500
MAX_LABEL = 44

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "scribe-report",
    "text.color": INK,
    # Labels come from files: a "$" in one is a dollar.
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.color": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


def picture(title: str, draw: Callable[P, Figure | None], *args: P.args, **kwargs: P.kwargs) -> str:
    """The chart as a `<figure>` of inline SVG, empty where there is nothing to draw; text stays text."""
    with _style():
        figure, buffer = draw(*args, **kwargs), StringIO()
        if figure is None:
            return ""
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    opening, rest = drawing[drawing.index("<svg") :].split(">", 1)
    # Without a size of its own, the drawing is as wide as the page.
    opening = re.sub(r' (width|height)="[^"]*"', "", opening)
    return f'<figure>{opening} role="img" aria-label="{text(title)}">{rest}</figure>'


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Names in any script are drawn by the browser's fonts, whatever matplotlib's own can measure.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def colour(index: int) -> str:
    return SERIES[index % len(SERIES)]


def label(name: str) -> str:
    """A name that fits beside a chart, without characters that nobody can see."""
    visible = "".join(c if c.isprintable() else "\ufffd" for c in name)
    return visible if len(visible) <= MAX_LABEL else visible[: MAX_LABEL - 1] + "…"


def thinned(values: Sequence[Any]) -> Sequence[Any]:
    """At most MAX_POINTS of them, evenly spaced."""
    return values[:: -(-len(values) // MAX_POINTS)] if values else values


def moving_mean(values: Sequence[float], window: int) -> list[float]:
    """The mean of each value and its neighbours, `window` values in all; fewer at the ends."""
    sums = [0.0, *accumulate(values)]
    half = window // 2
    ends = ((max(0, i - half), min(len(values), i + half + 1)) for i in range(len(values)))
    return [(sums[end] - sums[start]) / (end - start) for start, end in ends]


def window_of(count: int) -> int:
    """How many steps a smooth line averages: a tenth of them, five at least."""
    return max(5, count // 10)


def horizontal(axes: Axes, names: Sequence[str]) -> None:
    """Rows from top to bottom, each with its name, and vertical grid lines only."""
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
