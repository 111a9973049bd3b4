"""Functions as tools: what a model is told, and that every failure is an observation."""

import asyncio
import functools
import inspect
import json
import subprocess
import sys
import threading
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribe_core.builtin.python_tool import PythonTool
from scribe_core.errors import ConfigError
from scribe_core.references import resolve
from scribe_core.tools import argument_problem, by_name, call_tools, function_tool
from scribe_core.types import Message, Observation, ToolCall, ToolSpec


class Unit(Enum):
    CELSIUS = "C"
    FAHRENHEIT = "F"


def forecast(
    city: str,
    days: int = 1,
    unit: Unit = Unit.CELSIUS,
    units: list[Unit] | None = None,
    limits: dict[str, float] | None = None,
    style: Literal["short", "long"] = "short",
    wind: Annotated[bool, "whether to add the wind"] = False,
    share: float = 0.5,
) -> dict[str, Any]:
    """Looks up
    the weather.

    It never rains.

    Args:
        city (str): where,
            in words
        days: how many: 1 to 3
        wind: the annotation says more

    Returns:
        share: is no parameter here
    """
    kinds = [type(value).__name__ for value in (city, days, unit, wind, share)]
    return {"kinds": kinds, "units": [each.name for each in units or ()], "limits": limits, "style": style}


def call(function: Any, arguments: Any, **options: Any) -> Observation:
    return asyncio.run(function_tool(function, **options).call(arguments))


def error(function: Any, arguments: Any) -> str:
    observation = call(function, arguments)
    assert observation.is_error
    return observation.content


class TestSpec:
    def test_says_what_signature_and_docstring_say(self):
        spec = function_tool(forecast).spec
        unit = {"type": "string", "enum": ["C", "F"]}
        null = {"type": "null"}
        assert spec == ToolSpec(
            name="forecast",
            description="Looks up the weather.",
            parameters={
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "where, in words"},
                    "days": {"type": "integer", "default": 1, "description": "how many: 1 to 3"},
                    "unit": {**unit, "default": "C"},
                    "units": {"anyOf": [{"type": "array", "items": unit}, null]},
                    "limits": {
                        "anyOf": [{"type": "object", "additionalProperties": {"type": "number"}}, null]
                    },
                    "style": {"type": "string", "enum": ["short", "long"], "default": "short"},
                    "wind": {"type": "boolean", "description": "whether to add the wind", "default": False},
                    "share": {"type": "number", "default": 0.5},
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        )

    def test_mixed_choices_have_no_type(self):
        def pick(choice: Literal["all", 1, None]) -> None: ...

        assert function_tool(pick).spec.parameters["properties"]["choice"] == {"enum": ["all", 1, None]}

    def test_a_method_hides_its_self(self):
        class Shop:
            def buy(self, item: str) -> str:
                return item

        assert list(function_tool(Shop().buy).spec.parameters["properties"]) == ["item"]
        assert call(Shop().buy, {"item": "tea"}) == Observation(content="tea")

    def test_a_docstring_is_optional(self):
        def bare() -> str:
            return "ok"

        assert function_tool(bare).spec.description == ""

    @pytest.mark.parametrize(
        ("signature", "problem"),
        [
            ("(x)", "parameter 'x': it has no type annotation"),
            ("(x: bytes)", "<class 'bytes'> has no JSON type; use one of: str, int"),
            ("(x: dict[int, str])", "has no JSON type"),
            ("(x: list[object])", "has no JSON type"),
            ("(x: 'Unknown')", "its annotations cannot be resolved"),
            ("(*x: int)", "a model passes arguments by name"),
            ("(**x: int)", "a model passes arguments by name"),
            ("(x: int, /)", "a model passes arguments by name"),
        ],
    )
    def test_what_no_model_can_be_told_is_a_config_error(self, signature: str, problem: str):
        namespace: dict[str, Any] = {}
        exec(f"def strange{signature}: ...", namespace)
        with pytest.raises(ConfigError, match="tool 'strange'") as caught:
            function_tool(namespace["strange"])
        assert problem in str(caught.value)

    @pytest.mark.parametrize("nameless", [lambda: None, functools.partial(forecast, "Rome")])
    def test_a_tool_needs_a_name(self, nameless: Any):
        with pytest.raises(ConfigError, match="define it with def"):
            function_tool(nameless)

    def test_enums_of_objects_are_a_config_error(self):
        class Odd(Enum):
            ONE = ("a", "tuple")

        def pick(odd: Odd) -> None: ...

        with pytest.raises(ConfigError, match="choices must be str, int, bool or None"):
            function_tool(pick)


class TestCall:
    def test_arguments_arrive_as_declared(self):
        arguments = {"city": "Rome", "unit": "F", "units": ["C", "F"], "limits": {"low": 1, "high": 2.5}}
        assert json.loads(call(forecast, arguments).content) == {
            "kinds": ["str", "int", "Unit", "bool", "float"],
            "units": ["CELSIUS", "FAHRENHEIT"],
            "limits": {"low": 1, "high": 2.5},
            "style": "short",
        }

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ({}, "required arguments are missing: city"),
            ({"citi": "Rome"}, "there is no argument 'citi'; did you mean 'city'?"),
            ({"city": 3}, "argument city: 3 is not of type 'string'"),
            ({"city": None}, "argument city: None is not of type 'string'"),
            ({"city": "Rome", "days": True}, "argument days: True is not of type 'integer'"),
            ({"city": "Rome", "days": 1.0}, "argument days: 1.0 is not of type 'integer'"),
            ({"city": "Rome", "days": "1"}, "argument days: '1' is not of type 'integer'"),
            ({"city": "Rome", "wind": 1}, "argument wind: 1 is not of type 'boolean'"),
            ({"city": "Rome", "share": float("nan")}, "argument share: nan is not of type 'number'"),
            ({"city": "Rome", "share": float("inf")}, "argument share: inf is not of type 'number'"),
            ({"city": "Rome", "unit": "K"}, "argument unit: 'K' is not one of ['C', 'F']"),
            ({"city": "Rome", "units": "C"}, "argument units: 'C' is not valid"),
            ({"city": "Rome", "limits": {"low": "1"}}, "argument limits: {'low': '1'} is not valid"),
            ('{"city": "Ro', 'the arguments are not a JSON object: \'{"city": "Ro\''),
        ],
    )
    def test_wrong_arguments_are_an_error(self, arguments: Any, problem: str):
        assert error(forecast, arguments).startswith(f"Error: {problem}")

    def test_hostile_arguments_are_a_short_error(self):
        deep: Any = []
        for _ in range(100_000):
            deep = [deep]
        for value in (deep, 10**5000, "x" * 10**6):
            for name in ("style", "no such argument"):
                assert len(error(forecast, {"city": "Rome", name: value})) < 700

    def test_an_exception_is_an_error(self):
        def divide(by: int) -> float:
            return 1 / by

        async def fail() -> None:
            raise LookupError("no\nsuch  city")

        assert error(divide, {"by": 0}) == "Error: ZeroDivisionError: division by zero"
        assert error(fail, {}) == "Error: LookupError: no such city"

    @pytest.mark.parametrize("kind", [StopIteration, SystemExit, RecursionError, MemoryError, TimeoutError])
    def test_so_is_every_other_end(self, kind: type[BaseException]):
        def end() -> None:
            raise kind

        async def end_later() -> None:
            raise kind

        assert kind.__name__ in error(end, {})
        assert error(end_later, {})

    def test_an_exception_that_cannot_be_shown_is_an_error(self):
        class SilentError(Exception):
            def __str__(self) -> str:
                raise ValueError

        def fail() -> None:
            raise SilentError

        assert error(fail, {}) == "Error: SilentError"

    @pytest.mark.parametrize(
        ("result", "text"),
        [
            ("plain é", "plain é"),
            (["é"], '["é"]'),
            ({"a": [1, None]}, '{"a": [1, null]}'),
            (None, "null"),
            (1j, "1j"),
        ],
    )
    def test_results_are_text_or_json(self, result: Any, text: str):
        def answer() -> Any:
            return result

        assert call(answer, {}) == Observation(content=text)

    def test_a_result_that_cannot_be_shown_is_an_error(self):
        class Broken:
            def __str__(self) -> str:
                raise ValueError("no text")

        def answer() -> Any:
            return Broken()

        assert error(answer, {}) == "Error: ValueError: no text"

    def test_half_a_character_is_replaced(self):
        def name() -> str:
            return "caf\udce9"

        assert call(name, {}) == Observation(content="caf?")

    def test_long_results_are_cut(self):
        def count() -> str:
            return "x" * 100

        assert call(count, {}, max_chars=100).content == "x" * 100
        assert call(count, {}, max_chars=7).content == "xxxxxxx\n[cut: the first 7 of 100 characters]"

    def test_plain_functions_leave_the_loop_free(self):
        started, released = threading.Event(), threading.Event()

        def wait() -> str:
            started.set()
            return str(released.wait())

        async def main() -> str:
            answer = asyncio.create_task(function_tool(wait).call({}))
            while not started.is_set():
                await asyncio.sleep(0)
            released.set()
            return (await answer).content

        assert asyncio.run(main()) == "True"

    def test_a_plain_function_may_return_an_awaitable(self):
        async def later() -> str:
            return "done"

        def now() -> Any:
            return later()

        assert call(now, {}) == Observation(content="done")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


class TestArgumentProblem:
    @given(st.dictionaries(st.sampled_from(["city", "days", "share", "other"]), JSON))
    def test_accepts_what_the_types_accept_and_nothing_else(self, arguments: dict[str, Any]):
        def plain(city: str, days: int = 1, share: float = 0.5) -> None: ...

        def fits(value: Any, kinds: tuple[type, ...]) -> bool:
            return type(value) in kinds and value == value and value not in (float("inf"), float("-inf"))

        kinds = {"city": (str,), "days": (int,), "share": (int, float)}
        good = "city" in arguments and all(k in kinds and fits(v, kinds[k]) for k, v in arguments.items())
        assert (argument_problem(arguments, function_tool(plain).spec.parameters) is None) == good

    def test_a_reference_in_a_schema_fetches_nothing(self):
        schema = {"properties": {"x": {"$ref": "http://localhost:1/schema"}}}
        with pytest.raises(Exception, match="localhost"):
            argument_problem({"x": 1}, schema)

    def test_open_schemas_take_more(self):
        assert argument_problem({"x": 1}, {"type": "object", "additionalProperties": True}) is None
        assert argument_problem({"x": 1}, {"type": "object"}) is not None


def add(a: int, b: int) -> int:
    return a + b


def tool_call(name: str, /, id: str = "", **arguments: Any) -> ToolCall:  # noqa: A002
    return ToolCall(name=name, arguments=arguments, id=id)


class TestCallTools:
    def test_answers_in_the_order_of_the_calls(self):
        order: list[str] = []

        async def slow() -> str:
            while "fast" not in order:
                await asyncio.sleep(0)
            order.append("slow")
            return "slow"

        async def fast() -> str:
            order.append("fast")
            return "fast"

        tools = [function_tool(slow), function_tool(fast)]
        messages = asyncio.run(call_tools(tools, [tool_call("slow", id="1"), tool_call("fast", id="2")]))
        assert order == ["fast", "slow"]
        assert messages == [
            Message(role="tool", content="slow", tool_call_id="1", name="slow"),
            Message(role="tool", content="fast", tool_call_id="2", name="fast"),
        ]

    def test_a_bad_call_spoils_no_other(self):
        calls = [
            tool_call("ad", a=1, b=2),
            ToolCall(name="add", arguments='{"a": 1'),
            tool_call("add", a=1, c=2),
            tool_call("add", a=1, b=2),
        ]
        messages = asyncio.run(call_tools([function_tool(add)], calls))
        assert [message.content for message in messages] == [
            "Error: there is no tool 'ad'; did you mean 'add'? (choices: add)",
            "Error: the arguments are not a JSON object: '{\"a\": 1'",
            "Error: there is no argument 'c' (choices: a, b)",
            "3",
        ]
        assert {message.tool_call_id for message in messages} == {None}

    def test_no_calls_no_messages(self):
        assert asyncio.run(call_tools([], [])) == []

    def test_a_late_answer_is_an_error_and_is_cancelled(self):
        cancelled = []

        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        async def quick() -> str:
            return "in time"

        tools = [function_tool(hang), function_tool(quick)]
        messages = asyncio.run(call_tools(tools, [tool_call("hang"), tool_call("quick")], timeout=0.01))
        assert [message.content for message in messages] == ["Error: timed out after 0.01 seconds", "in time"]
        assert cancelled == [True]

    def test_a_plain_function_that_never_returns_holds_up_neither_calls_nor_the_end(self):
        code = """
import threading
from scribe_core import aio
from scribe_core.tools import call_tools, function_tool
from scribe_core.types import ToolCall

def hang() -> None:
    threading.Event().wait()

def add(a: int, b: int) -> int:
    return a + b

late = aio.run(call_tools([function_tool(hang)], [ToolCall(name="hang")] * 100, timeout=0.01))
calls = [ToolCall(name="add", arguments={"a": 1, "b": 2})]
(added,) = aio.run(call_tools([function_tool(add)], calls, timeout=3600))
print({each.content for each in late}, added.content)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("{'Error: timed out after 0.01 seconds'} 3\n", "")

    def test_every_call_has_a_limit(self):
        assert 0 < inspect.signature(call_tools).parameters["timeout"].default < 600

    @pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt])
    def test_a_tools_own_cancellation_is_an_error(self, kind: type[BaseException]):
        async def cancel() -> None:
            raise asyncio.CancelledError("odd")

        def interrupt() -> None:
            raise KeyboardInterrupt

        tool = function_tool(cancel if kind is asyncio.CancelledError else interrupt)
        calls = [ToolCall(name=tool.spec.name)]
        assert kind.__name__ in asyncio.run(call_tools([tool], calls))[0].content

    def test_a_timeout_of_the_tools_own_is_its_own(self):
        async def impatient() -> None:
            raise TimeoutError("the server is slow")

        message = asyncio.run(call_tools([function_tool(impatient)], [tool_call("impatient")], timeout=60))[0]
        assert message.content == "Error: TimeoutError: the server is slow"

    def test_tools_that_break_the_rules_stop_nothing(self):
        class Rude:
            spec = ToolSpec(name="rude")

            async def call(self, arguments: Any) -> Any:
                raise KeyError("city")

        message = asyncio.run(call_tools({"rude": Rude()}, [tool_call("rude")]))[0]
        assert message.content == "Error: KeyError: 'city'"

    def test_cancelling_reaches_every_call(self):
        started: list[int] = []
        cancelled: list[int] = []

        async def hang(number: int) -> None:
            started.append(number)
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(number)

        async def main() -> None:
            calls = [tool_call("hang", number=number) for number in (1, 2)]
            task = asyncio.create_task(call_tools([function_tool(hang)], calls, timeout=60))
            while len(started) < 2:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert sorted(cancelled) == [1, 2]

    def test_an_interrupt_goes_through(self):
        class Interrupted(BaseException):
            pass

        async def interrupt() -> None:
            raise Interrupted

        with pytest.raises(BaseExceptionGroup) as caught:
            asyncio.run(call_tools([function_tool(interrupt)], [tool_call("interrupt")]))
        assert caught.group_contains(Interrupted)

    def test_two_tools_of_one_name_are_a_config_error(self):
        with pytest.raises(ConfigError, match="two tools are named 'add'"):
            by_name([function_tool(add), function_tool(add)])


class TestPythonTool:
    def test_takes_a_function(self):
        assert asyncio.run(PythonTool(function=add).build().call({"a": 1, "b": 2})).content == "3"

    def test_finds_modules_of_the_current_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / "my_tools.py").write_text("def shout(text: str) -> str:\n    return text.upper()\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", [*sys.path])
        tool = PythonTool(function="my_tools:shout", max_chars=3).build()
        assert asyncio.run(tool.call({"text": "hello"})).content.startswith("HEL\n[cut")

    def test_max_chars_is_positive(self):
        with pytest.raises(ValueError, match="max_chars"):
            PythonTool(function=add, max_chars=0)

    @pytest.mark.parametrize(
        ("ref", "problem"),
        [
            ("json", "function: 'json' is not a reference; write \"module:attribute\""),
            (":dumps", "is not a reference"),
            ("json:", "is not a reference"),
            (
                "no_such_module_here:f",
                "the module 'no_such_module_here' cannot be imported (ModuleNotFoundError",
            ),
            ("json:dump_s", "function: 'json' has no 'dump_s'; did you mean 'dumps'?"),
            ("json:dumps.x.y", "function: 'json' has no 'x'"),
            ("..:x", "cannot be imported"),
            ("a b\x00:x", "cannot be imported"),
            ("json:__doc__", "a tool needs a name"),
        ],
    )
    def test_bad_references_are_config_errors(self, ref: str, problem: str):
        with pytest.raises(ConfigError) as caught:
            PythonTool(function=ref).build()
        assert problem in str(caught.value)

    @pytest.mark.parametrize("body", ["raise SystemExit(3)", "1/0", "def (", "import no_such_module_here"])
    def test_a_module_that_breaks_is_a_config_error(
        self, body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        (tmp_path / "breaks_on_import.py").write_text(body)
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ConfigError, match="key: the module 'breaks_on_import' cannot be imported"):
            resolve("breaks_on_import:f", "key")
