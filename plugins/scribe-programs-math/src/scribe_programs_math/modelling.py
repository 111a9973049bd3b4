"""Between words and mathematics: unknowns that are named, numbers that are used, quantities that can be."""

import re
from collections.abc import Iterator
from fractions import Fraction

from scribe_core.builders import program
from scribe_core.types import Finding, Subgoal
from scribe_programs_math.reading import NOT_APPLICABLE, failed, known_text, own_text, passed, request
from scribe_programs_math.statements import statements
from scribe_programs_math.tokens import MOST_TEXT, tokens

_WORDS = dict(
    zip(
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
        range(2, 13),
        strict=True,
    )
) | {"half": Fraction(1, 2), "twice": 2, "double": 2, "dozen": 12, "thrice": 3, "triple": 3}
_INTRODUCES = r"(?:let|where|denote|denotes|call|with|for|variable|variables|unknown|unknowns|say|suppose|given|number|length|width|age|price|cost|integer|integers|side|radius|angle|using|define|set|by|as)"
_STANDS_FOR = r"(?:be|is|are|was|denotes?|represents?|stands?|for|equals?|the)"
_QUANTITY = re.compile(
    r"\b(?P<what>probability|chance|area|volume|perimeter|length|distance|radius|height|width|speed|number of [a-z]+|cost|price|age)\b"
    r"(?P<rest>[^.\n=]{0,60}?)(?:=|\bis\b|\bequals\b|\bare\b)\s*\$?(?P<value>-?\d{1,30}(?:\.\d{1,30})?(?:/\d{1,30})?)(?P<after>\s?\\?%)?"
    r"(?!\s*[-+*/^(<>=\\\w]|\.\d)",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:not|impossible|cannot|change|changes|difference|increase|decrease|reject|signed|if)\b",
    re.IGNORECASE,
)
_MOST_NAMES = 12


@program
def unknowns_introduced(subgoal: Subgoal) -> Finding:
    """Whether each variable of a stated equation stands in the problem or is introduced in words."""
    text, known = own_text(subgoal), known_text(subgoal)
    used: dict[str, str] = {}
    for statement in statements(text):
        for name in sorted(statement.left.names() | statement.right.names()):
            used.setdefault(name, statement.quote)
    used = {name: quote for name, quote in used.items() if len(name) == 1 and name not in "eiπ"}
    if not used:
        return NOT_APPLICABLE
    new = [name for name in list(used)[:_MOST_NAMES] if not _introduced(name, f"{known}\n{text}", known)]
    if new:
        return failed(f"nothing says what {', '.join(new)} stands for", subgoal, used[new[0]])
    return passed(subgoal, *used.values())


def _introduced(name: str, text: str, known: str) -> bool:
    letter = rf"(?<![A-Za-z\\]){re.escape(name)}(?![A-Za-z])"
    if re.search(
        letter if name not in "aAI" else rf"{letter}\$?\s?[=+,.)*/^-]|\$[^$\n]{{0,60}}{letter}", known
    ):
        return True
    said = rf"\b{_INTRODUCES}\b[^.\n]{{0,60}}?{letter}|{letter}\$?[^.\n=]{{0,12}}?\b{_STANDS_FOR}\b|{letter}\$?\s*=\s*\$?(?:the|number|\\text)"
    return bool(re.search(said, text, re.IGNORECASE if name.islower() else 0)) or bool(
        re.search(rf"\w{{3,}}\s*\(?\$?{letter}\$?\s*\)", text)
    )


@program
def givens_used(subgoal: Subgoal) -> Finding:
    """Whether at least half of the numbers that the problem gives are taken up."""
    given = dict.fromkeys(_numbers(request(subgoal)))
    if len(given) < 2:
        return NOT_APPLICABLE
    text = f"{known_text(subgoal)[len(request(subgoal)) :]}\n{own_text(subgoal)}"[-MOST_TEXT:]
    stated = set(_numbers(text))
    used = [number for number in given if _taken_up(number, stated)]
    if 2 * len(used) < len(given):
        left = [str(number) for number in given if number not in used]
        return failed(f"{', '.join(left[:5])} of the problem are not taken up", subgoal)
    return passed(subgoal)


def _taken_up(number: Fraction, stated: set[Fraction]) -> bool:
    return number in stated or number / 100 in stated or number * 100 in stated or number / 2 in stated


def _numbers(text: str) -> Iterator[Fraction]:
    for token in tokens(text):
        if token.kind == "number" and len(token.value) < 20 and token.value.replace(".", "", 1).isdecimal():
            yield Fraction(token.value)
        elif token.kind == "word" and token.value in _WORDS:
            yield Fraction(_WORDS[token.value])


@program
def quantities_possible(subgoal: Subgoal) -> Finding:
    """Whether no probability lies outside 0 to 1, and no length, area, count or price is negative or broken."""
    decided = []
    for match in list(_QUANTITY.finditer(own_text(subgoal)))[:100]:
        if not _UNSURE.search(match["rest"]):
            decided.append((match[0], _possible(match)))
    wrong = [quote for quote, answer in decided if not answer]
    if wrong:
        return failed(f"it cannot be: {wrong[0][:120]}", subgoal, *wrong[:3])
    return passed(subgoal, *(quote for quote, _ in decided)) if decided else NOT_APPLICABLE


def _possible(match: re.Match[str]) -> bool:
    top, _, bottom = match["value"].partition("/")
    if bottom and not int(bottom):
        return False
    value = Fraction(top) / int(bottom or 1)
    what = match["what"].lower()
    if match["after"]:
        value /= 100
    if what in ("probability", "chance"):
        return 0 <= value <= 1
    if what.startswith("number of") and what.split()[-1] in (
        "ways",
        "people",
        "integers",
        "solutions",
        "students",
        "pairs",
    ):
        return value >= 0 and value.denominator == 1
    return value >= 0
