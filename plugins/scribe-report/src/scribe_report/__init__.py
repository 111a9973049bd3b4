"""What training runs did, on one page: `write_report`, and the comparison behind it: `compare`.

Importing this package imports neither matplotlib nor anything else that is slow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from scribe_report.comparing import Change as Change
    from scribe_report.comparing import Comparison as Comparison
    from scribe_report.comparing import compare as compare
    from scribe_report.reading import Run as Run
    from scribe_report.reading import Snapshot as Snapshot
    from scribe_report.reading import read_run as read_run
    from scribe_report.report import write_report as write_report

_LAZY = {
    "Change": "comparing",
    "Comparison": "comparing",
    "Run": "reading",
    "Snapshot": "reading",
    "compare": "comparing",
    "read_run": "reading",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"scribe_report.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'scribe_report' has no attribute {name!r}")
