"""The tool `python`: a function that a config names."""

from collections.abc import Callable
from typing import Any, ClassVar

from attrs import field, frozen
from attrs.validators import gt

from scribe_core.protocols import Tool
from scribe_core.references import resolve
from scribe_core.tools import function_tool


@frozen(kw_only=True)
class PythonTool:
    """A typed Python function as a tool, "module:function" of the current folder or an installed package."""

    name: ClassVar[str] = "python"

    function: str | Callable[..., Any]
    """A reference, or in Python the function itself; its docstring is what the model reads."""
    max_chars: int = field(default=10_000, validator=gt(0))
    """Longer results are cut, with a note."""

    def build(self) -> Tool:
        """Raises ConfigError where the function cannot be imported or its signature told to a model."""
        function = resolve(self.function, "function") if isinstance(self.function, str) else self.function
        return function_tool(function, max_chars=self.max_chars)
