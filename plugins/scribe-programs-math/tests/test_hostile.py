"""Whatever a policy writes: an answer, the same every time, and work that does not run away."""

import sys
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scribe_programs_math.plugin import scribe_programs
from scribe_programs_math.statements import chains, statements
from scribe_programs_math.tokens import tokens

from scribe_core.spans import span_text
from scribe_core.types import Answer, Finding, Message, Span, Subgoal, ToolCall, Trajectory

PROGRAMS = {builder.name: builder().build() for builder in scribe_programs()}
PARTS = st.sampled_from(
    r"""10**10**10 = 5|x < 4.5|integer|case 1:|case 2:|\boxed{|}|\frac{1}{0}|99!!!|\sqrt{-1} = 2|(((|\binom{9}{99}|2^{2^{99}}
3 ≡ 4 (mod 0)|-5 \equiv 2 \pmod{7}|0^-1 = 1|the answer is|print(x)|Suppose, to the contrary,|contradiction|= |≈ 3|probability is 7
١٢ = ١٢|²|largest is 9|check:|2x + 1 = 5|x = 1/0|Traceback|1e999|#### 5|area = -3|C(9, 3) = 84|%|√9 = 3|∞""".replace(
        "\n", "|"
    ).split("|")
)
TEXT = st.text(max_size=60) | st.lists(PARTS | st.text(max_size=4), max_size=12).map(" ".join)
CALLS = st.builds(
    ToolCall,
    name=st.just("python"),
    arguments=TEXT | st.dictionaries(st.sampled_from(["code", "x"]), TEXT | st.integers()),
)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "assistant", "tool"]),
    content=TEXT,
    tool_calls=st.lists(CALLS, max_size=1).map(tuple),
    raw=st.none() | TEXT,
)


@st.composite
def subgoals(draw: Any) -> Subgoal:
    messages = tuple(draw(st.lists(MESSAGES, max_size=5)))
    first = draw(st.integers(0, len(messages)))
    last = draw(st.integers(first, len(messages)))
    span = Span((first, draw(st.integers(0, 2))), (last, draw(st.integers(0, 3))))
    return Subgoal(trajectory=Trajectory(id="t", messages=messages), span=span)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(subgoals())
def test_every_program_answers_the_same_for_any_subgoal(subgoal: Subgoal) -> None:
    for name, program in PROGRAMS.items():
        finding = program(subgoal)
        assert isinstance(finding, Finding), name
        assert finding.answer in get_args(Answer)
        assert all(quote in span_text(subgoal) for quote in finding.evidence), name
        assert program(subgoal) == finding, name


@settings(deadline=None)
@given(TEXT)
def test_reading_any_text(text: str) -> None:
    found = tokens(text)
    assert all(0 <= token.start < token.end <= len(text) for token in found)
    assert all(statement.quote in text for statement in statements(text))


SIZE = 2_000
UNITS = {
    "digits": "9",
    "commas": "1,234,",
    "powers": "9^",
    "brackets": "(",
    "closed": "(1)",
    "equal": "1=",
    "chain": "1 + 1 = 2\n= ",
    "bounds": "x < 1.5 integer ",
    "boxes": "\\boxed{",
    "answers": "the answer is 5. ",
    "cases": "\nCase 1: yes. ",
    "letters": "a",
    "letters and signs": "x+",
    "equations": "2x + 1 = 5, x = 2. ",
    "assumptions": "suppose contrary ",
    "minus": "-",
    "factorials": "9!",
    "roots": "\\sqrt",
    "fractions": "\\frac",
    "mods": "1 ≡ 1 mod ",
    "blanks": " ",
    "lines": "\n",
    "dots": ".",
    "probability": "probability ",
    "results": "output gives ",
}


def _steps(subgoal: Subgoal) -> int:
    """Lines of our own code that the programs run: unlike time, the same on every machine."""
    count = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        count += 1
        return trace if "scribe_programs_math" in frame.f_code.co_filename else None

    statements.cache_clear()
    chains.cache_clear()
    sys.settrace(trace)
    try:
        for program in PROGRAMS.values():
            program(subgoal)
    finally:
        sys.settrace(None)
    return count


def _repeated(unit: str, size: int) -> Subgoal:
    text = unit * (size // len(unit))
    messages = (
        Message(role="user", content=text),
        Message(role="tool", content=text),
        Message(role="assistant", content=text),
    )
    return Subgoal(trajectory=Trajectory(id="t", messages=messages), span=Span((2, 0), (3, 0)))


@pytest.mark.parametrize("kind", UNITS)
def test_longer_text_costs_no_more_than_in_proportion(kind: str) -> None:
    small, large = (_steps(_repeated(UNITS[kind], size)) for size in (SIZE // 5, SIZE))
    assert large <= 8 * small + 40_000


@pytest.mark.parametrize("kind", UNITS)
def test_huge_text_is_answered(kind: str) -> None:
    subgoal = _repeated(UNITS[kind], 10 * SIZE)
    for program in PROGRAMS.values():
        assert program(subgoal).answer in get_args(Answer)
