"""Code that is run for a computation: that it prints, that its errors are seen, that its output is used as printed."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

from scribe_core.builders import program
from scribe_core.builtin.situation import is_error
from scribe_core.spans import span_calls
from scribe_core.types import Finding, Message, Subgoal
from scribe_programs_math.answers import answers
from scribe_programs_math.reading import NOT_APPLICABLE, failed, own_text, passed, result_messages, undecided
from scribe_programs_math.statements import statements, value_of
from scribe_programs_math.tokens import tokens

_CODE = ("code", "source", "program", "script", "python", "command", "input", "cell")
_SHOWS = re.compile(
    r"\bprint\s*\(|\bdisplay\s*\(|\bsys\.stdout|\becho\b|\bconsole\.log|\bassert\b|\breturn\b"
)
_STATEMENT = re.compile(
    r"\s|(?:import|from|def|class|for|while|if|else|elif|try|except|with|pass|del|global)\b|[\w., \[\]()]+(?<![=!<>])=(?!=)|#|[)\]}]"
)
_TROUBLE = re.compile(
    r"\btraceback\b|\b[A-Za-z]*(?:Error|Exception)\b:|\btimed? ?out\b|\bsyntax error\b", re.IGNORECASE
)
_ADMITS = re.compile(
    r"error|fail|exception|wrong|bug|fix|timed? ?out|instead|crash|did(?:n't| not)|could(?:n't| not)|not defined|problem",
    re.IGNORECASE,
)
_REPORTS = re.compile(
    r"\b(?:code|program|script|output|python|tool|execution|computation|interpreter|result)\b(?: \w+){0,4}? "
    r"(?:prints?|printed|gives?|gave|outputs?|returns?|returned|shows?|showed|is|was|confirms?)(?: that| us| the)?(?: (?:answer|value|sum|count|total|result))?"
    r"(?: is)?[: $*`]{1,6}(?P<value>-?\d[\d,]*(?:\.\d+)?(?:/\d+)?)",
    re.IGNORECASE,
)


@program
def code_shows_result(subgoal: Subgoal) -> Finding:
    """Whether code that is run prints what it computes, or ends in an expression."""
    sources = list(_sources(subgoal))
    if not sources:
        return NOT_APPLICABLE
    for source in sources:
        lines = [line for line in source.splitlines() if line.strip()]
        if not lines:
            return failed("the code is empty", subgoal)
        if not _SHOWS.search(source) and _STATEMENT.match(lines[-1]):
            return failed("the code shows nothing of what it computes", subgoal, lines[-1])
    return passed(subgoal)


def _sources(subgoal: Subgoal) -> Iterator[str]:
    for call in span_calls(subgoal)[:32]:
        if isinstance(call.arguments, Mapping):
            for name in _CODE:
                value = call.arguments.get(name)
                if isinstance(value, str) and (name != "input" or "\n" in value):
                    yield value[:20_000]


@program
def code_error_handled(subgoal: Subgoal) -> Finding:
    """Whether, after code broke, it is run again or the text says that it broke."""
    found = result_messages(subgoal)
    if not found or not _broke(found[-1]):
        return NOT_APPLICABLE
    text = own_text(subgoal)
    if span_calls(subgoal) or _ADMITS.search(text) or not text.strip():
        return passed(subgoal)
    return failed("the code broke, and the text goes on as if it had not", subgoal, text[:100])


def _broke(result: Message) -> bool:
    return is_error(result) or bool(_TROUBLE.search(result.content[:20_000]))


@program
def printed_values_kept(subgoal: Subgoal) -> Finding:
    """Whether what the text reports of a run, and the answer drawn from it, is what was printed."""
    found = [message for message in result_messages(subgoal) if not _broke(message)]
    text = own_text(subgoal)
    printed = {value for message in found for value in _values(message.content)}
    if not printed or not text.strip():
        return NOT_APPLICABLE
    told = [(match["value"], _value(match["value"])) for match in _REPORTS.finditer(text)]
    wrong = [quote for quote, value in told if value is not None and not _printed(value, quote, printed)]
    if wrong:
        return failed(f"{wrong[0]} was not printed", subgoal, *wrong[:3])
    final = [answer for answer in answers(text) if answer.value is not None]
    if final and final[-1].value is not None:
        if _printed(final[-1].value, final[-1].text, printed):
            return passed(subgoal, final[-1].text)
        if not any(value_of(s.right) is not None for s in statements(text)):
            return failed(f"{final[-1].text[:60]} was not printed", subgoal, final[-1].text)
        return undecided("the answer is computed further from what was printed")
    return passed(subgoal, *(quote for quote, _ in told)) if told else NOT_APPLICABLE


def _printed(value: Fraction, written: str, printed: set[Fraction]) -> bool:
    """Whether a value was printed, perhaps with more decimals."""
    digits = len(re.sub(r"\D", "", written.partition(".")[2]))
    unit = Fraction(1, 10 ** min(digits, 30))
    return value in printed or any(
        abs(value - other) * 2 <= unit for other in printed if other.denominator > 1
    )


def _values(text: str) -> Iterator[Fraction]:
    found = tokens(text)
    for token, before in zip(found, [None, *found], strict=False):
        value = _value(token.value) if token.kind == "number" else None
        if value is not None:
            yield value
            if before is not None and before.value == "-":
                yield -value
    for fraction in re.findall(r"(-?\d{1,20})/(\d{1,20})", text[:20_000]):
        if int(fraction[1]):
            yield Fraction(int(fraction[0]), int(fraction[1]))


def _value(text: str) -> Fraction | None:
    plain = text.replace(",", "")
    if len(plain) > 60 or not re.fullmatch(r"-?\d+(?:\.\d+)?(?:/0*[1-9]\d*)?", plain, re.ASCII):
        return None
    top, _, bottom = plain.partition("/")
    return Fraction(top) / int(bottom or 1)
