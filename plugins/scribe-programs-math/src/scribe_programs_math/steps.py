"""How an argument is built: cases, an assumption and its end, steps that are not repeated, work that is shown."""

import re
from collections.abc import Sequence

from attrs import frozen

from scribe_core.builders import program
from scribe_core.types import Finding, Subgoal
from scribe_programs_math.reading import NOT_APPLICABLE, failed, known_text, own_text, passed, sentences
from scribe_programs_math.statements import chains

_CASE = re.compile(
    r"(?:^|\n|(?<=[.:;]\s))[ \t#*>-]*\bcase[ \t]+(?P<label>\d{1,2}|[ivx]{1,5}|[a-h])\b[^\w\n]", re.IGNORECASE
)
_COUNTED = re.compile(r"\b(two|three|four|five|six|[2-6])\s+(?:\w+\s+)?cases\b", re.IGNORECASE)
_COUNT = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9, "x": 10}
_REFERS = re.compile(
    r"\b(?:in|for|from|by) (?:all|both|either|every|each|any|neither|none|these|the (?:two|three|four|above))\b|\b(?:all|both|these|the|two|three|four|"
    r"every|each|either|no|neither|other) (?:\w+ )?cases?\b|\bcases? (?:cover|exhaust|together|above|\d)|\b(?:in total|altogether|adding|summing|combining|sum|total|"
    r"overall|together|comparing|union|combined)\b|\bonly case\b|\beither way\b",
    re.IGNORECASE,
)
_ASSUMES = re.compile(r"\b(?:suppose|assume|assuming|supposing|if possible)\b[^.\n]{0,200}", re.IGNORECASE)
_CONTRARY = re.compile(r"\bcontra(?:ry|diction)\b|\bif possible\b|\bwere (?:not )?\w+", re.IGNORECASE)
_REFUTED = re.compile(
    r"\bcontradict\w*|\bimpossib\w+|\babsurd\w*|\bcannot\b|\bcan't\b|\bcan not\b|\bno such\b|⊥|\\bot\b|\bviolat\w+|\bfalse\b",
    re.IGNORECASE,
)
_LONG, _WORDS = 30, 5


@frozen
class _Case:
    number: int
    text: str
    quote: str


def _cases(text: str) -> list[_Case]:
    marks = list(_CASE.finditer(text))[:40]
    ends = [*(match.start() for match in marks[1:]), len(text)][: len(marks)]
    return [
        _Case(_number(match["label"]), text[match.end() : end], match[0].strip(" \t\n#*>-"))
        for match, end in zip(marks, ends, strict=True)
    ]


def _number(label: str) -> int:
    label = label.lower()
    return int(label) if label.isdecimal() else _ROMAN.get(label, ord(label[0]) - ord("a") + 1)


@program
def cases_listed_fully(subgoal: Subgoal) -> Finding:
    """Whether stated cases are at least two, numbered without a gap, and as many as announced."""
    text = own_text(subgoal)
    cases = _cases(text)
    if not cases:
        return NOT_APPLICABLE
    numbers = list(dict.fromkeys(case.number for case in cases))
    if numbers[0] != 1:
        return (
            NOT_APPLICABLE
            if len(numbers) == 1
            else failed("the first case is missing", subgoal, cases[0].quote)
        )
    if len(numbers) < 2:
        return failed("there is one case only", subgoal, cases[0].quote)
    if sorted(numbers) != list(range(1, len(numbers) + 1)):
        return failed(
            f"cases are missing: there are {', '.join(map(str, numbers[:10]))}", subgoal, cases[-1].quote
        )
    announced = _COUNTED.search(text[: text.find(cases[0].quote)])
    if announced and (count := _COUNT.get(announced[1].lower()) or int(announced[1])) > len(numbers):
        return failed(f"{count} cases are announced and {len(numbers)} stated", subgoal, announced[0])
    return passed(subgoal, *(case.quote for case in cases))


@program
def each_case_argued(subgoal: Subgoal) -> Finding:
    """Whether something is said in each stated case."""
    cases = _cases(own_text(subgoal))
    if len(cases) < 2:
        return NOT_APPLICABLE
    empty = [case for case in cases if len(re.findall(r"\w+", case.text)) < 3]
    if empty:
        return failed(f"nothing is said in {empty[0].quote}", subgoal, empty[0].quote)
    return passed(subgoal, *(case.quote for case in cases))


@program
def cases_concluded(subgoal: Subgoal) -> Finding:
    """Whether, after the stated cases, a conclusion is drawn from all of them."""
    cases = _cases(own_text(subgoal))
    if len(cases) < 2:
        return NOT_APPLICABLE
    found = _REFERS.search(cases[-1].text)
    if found is None:
        return failed("no conclusion refers to all cases", subgoal, cases[-1].text[-100:])
    return passed(subgoal, found[0])


@program
def assumption_discharged(subgoal: Subgoal) -> Finding:
    """Whether an assumption made for contradiction is refuted, and a contradiction has its assumption."""
    text, known = own_text(subgoal), known_text(subgoal)
    assumed = [m for m in _ASSUMES.finditer(text) if _CONTRARY.search(m[0])]
    if assumed:
        refuted = _REFUTED.search(text, assumed[-1].end())
        if refuted is None:
            return failed("what was assumed is never refuted", subgoal, assumed[-1][0])
        return passed(subgoal, assumed[-1][0], refuted[0])
    reached = re.search(r"\bcontradiction\b", text, re.IGNORECASE)
    if reached is None:
        return NOT_APPLICABLE
    before = f"{known}\n{text[: reached.start()]}"
    if re.search(r"\b(?:suppose|assum\w+|if|let|were|were to|case|since)\b", before, re.IGNORECASE):
        return passed(subgoal, reached[0])
    return failed("a contradiction to nothing that was assumed", subgoal, reached[0])


@program
def no_step_repeated(subgoal: Subgoal) -> Finding:
    """Whether no longer sentence or line is said twice, word for word."""
    seen: set[str] = set()
    earlier = {_folded(said) for _, said in sentences(known_text(subgoal))}
    for _, said in sentences(own_text(subgoal)):
        folded = _folded(said)
        if len(folded) < _LONG or len(folded.split()) < _WORDS:
            continue
        if folded in seen:
            return failed("a step is repeated word for word", subgoal, said)
        seen.add(folded)
    if seen and len(seen & earlier) == len(seen):
        return failed("nothing is said that was not said before", subgoal, own_text(subgoal)[:100])
    return passed(subgoal) if seen else NOT_APPLICABLE


def _folded(said: str) -> str:
    return " ".join(said.lower().split()).strip(" .,:;!?*#-$")


@program
def work_shown(subgoal: Subgoal) -> Finding:
    """Whether there is a derivation: a relation that is stated, or an argument of more than a few words."""
    text = own_text(subgoal)
    stated: Sequence[object] = chains(text)
    if stated or len(re.findall(r"[^\W\d_]{2,}", text)) >= 12:
        return passed(subgoal)
    return failed("nothing is derived", subgoal, text[:100])
