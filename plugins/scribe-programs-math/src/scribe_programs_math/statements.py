"""Statements in mathematical prose: `3 * 4 = 12`, `2 < 3 <= 5`, chains over lines; and whether they hold.

A side that cannot be read with certainty is left out: variables, units inside, the end of a phrase ("20% of
50 = 10" does not say that 50 is 10), and what the text only supposes or takes back.
"""

import itertools
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from attrs import frozen

from scribe_programs_math.arithmetic import UnreadableError, Value, evaluate
from scribe_programs_math.tokens import Token, tokens
from scribe_programs_math.words import WORDS_AFTER, WORDS_BEFORE_NUMBER, WORDS_BEFORE_PRODUCT

_DISOWNED = re.compile(
    r"contradict|impossib|\bfalse|not true|wrong|incorrect|absurd|no solution|\bsuppos|\bassum|\bwould|not equal|\bisn't"
    r"|\bdoesn't|does not|\bfails?\b|mistake|error|instead|reject|\bnever|cannot|can't|\bnot\b|≠|\bno[,.!]|too (?:large|small|big|high|low)"
    r"|\btry|\bif\b.{0,40}\bwere\b|✗|✘|❌|\bgarbage|\bwait\b|\bhmm|\bguess",
    re.IGNORECASE,
)
_ROUGH = re.compile(r"approx|about|roughly|nearly|almost|round|estimat|around|≈|close to", re.IGNORECASE)
_TAKEN_BACK = re.compile(
    r"[\s.!;]*(?:wait|no\b|hmm|actually|but that|that(?:'s| is)|this (?:is|contra))", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.!?;](?=\s)|\n")
_NEAR, _AFTER = 120, 60
_JOINED = "joined"


@frozen
class Side:
    """One side of a relation, in tokens."""

    tokens: tuple[Token, ...]
    doubtful: bool = False

    @property
    def start(self) -> int:
        return self.tokens[0].start

    @property
    def end(self) -> int:
        return self.tokens[-1].end

    def names(self) -> frozenset[str]:
        return frozenset(token.value for token in self.tokens if token.kind == "name")

    def has(self, *values: str) -> bool:
        return any(token.value in values for token in self.tokens)


@frozen
class Statement:
    """Two sides and the relation between them; `quote` is how the text has it."""

    left: Side
    relation: str
    right: Side
    quote: str
    start: int
    end: int
    rough: bool = False
    disowned: bool = False


@lru_cache(maxsize=64)
def statements(text: str) -> tuple[Statement, ...]:
    """All statements of a text, in order. A pure function, remembered because every program asks for it."""
    found: list[Statement] = []
    for chain in chains(text):
        for left, relation, right in zip(chain.sides, chain.relations, chain.sides[1:], strict=False):
            if left.tokens and right.tokens:
                found.append(_statement(text, left, relation, right))
    return tuple(found)


def _statement(text: str, left: Side, relation: str, right: Side) -> Statement:
    start, end = left.start, right.end
    before = _SENTENCE_END.split(text[max(0, start - _NEAR) : start])[-1]
    following = text[end : end + _AFTER]
    after = _SENTENCE_END.split(following)[0]
    asked = following.lstrip(" $*\\)]}").startswith("?")
    around = before + " " + after
    beyond = following[len(after) :]
    around_and_beyond = around + beyond if _TAKEN_BACK.match(beyond) else around
    return Statement(
        left,
        relation,
        right,
        text[start:end],
        start,
        end,
        rough=relation == "~" or bool(_ROUGH.search(around)),
        disowned=asked or bool(_DISOWNED.search(around_and_beyond)),
    )


@frozen
class Chain:
    """Sides and the relations between them: one more side than relations, any of them may be empty."""

    sides: tuple[Side, ...]
    relations: tuple[str, ...]


@lru_cache(maxsize=64)
def chains(text: str) -> tuple[Chain, ...]:
    """Runs of mathematics that have a relation."""
    found, run, lead = [], [], ""
    all_tokens = tokens(text)
    for i, token in enumerate(all_tokens):
        following = all_tokens[i + 1] if i + 1 < len(all_tokens) else None
        if token.kind == "word" and following and following.value == "(" and not following.spaced:
            run.append(Token("unread", token.value, token.start, token.end))
        elif token.kind == "line" and _continues(run, all_tokens, i):
            continue
        elif token.kind in ("word", "stop", "line"):
            found += _chain(run, lead, token.value if token.kind == "word" else "")
            run, lead = [], _lead(token, run)
        else:
            run.append(token)
    found += _chain(run, lead, "")
    return tuple(found)


def _lead(token: Token, before: Sequence[Token]) -> str:
    """What a side comes after: a word, a comma, another statement (`3 > 2 and ...`), or nothing."""
    if token.value in ("and", "or", ",", "but", "while"):
        return _JOINED if any(each.kind == "relation" for each in before) else token.value
    return token.value if token.kind == "word" else ""


def _continues(run: Sequence[Token], all_tokens: Sequence[Token], at: int) -> bool:
    """Whether a line break stands within a chain: an operator before it, or a relation after it."""
    if run and (run[-1].kind == "relation" or run[-1].value in ("+", "-", "*", "/")):
        return True
    rest = all_tokens[at + 1 : at + 4]
    following = next((token for token in rest if token.kind != "line"), None)
    return following is not None and (following.kind == "relation" or following.value == "+")


def _chain(run: Sequence[Token], lead: str, after: str) -> list[Chain]:
    places = [i for i, token in enumerate(run) if token.kind == "relation"]
    if not places:
        return []
    cuts = [-1, *places, len(run)]
    parts = [tuple(run[a + 1 : b]) for a, b in itertools.pairwise(cuts)]
    sides = [Side(part) for part in parts]
    if parts[0] and _begins_in_phrase(parts[0], lead):
        sides[0] = Side(parts[0], doubtful=True)
    if parts[-1] and after in WORDS_AFTER:
        sides[-1] = Side(parts[-1], doubtful=True)
    return [Chain(tuple(sides), tuple(run[i].value for i in places))]


def _begins_in_phrase(part: Sequence[Token], lead: str) -> bool:
    """Whether the first side may be the end of something in words, such as a phrase or an enumeration."""
    if part[0].kind == "sign" and part[0].value in "+-" and lead:
        return True
    if len(part) == 1 and ":" not in part[0].value:
        return bool(lead) and lead not in WORDS_BEFORE_NUMBER
    return lead in WORDS_BEFORE_PRODUCT


def value_of(side: Side, names: dict[str, Fraction] | None = None) -> Value | None:
    """The side's value, or None where it cannot be read."""
    if side.doubtful or not side.tokens:
        return None
    try:
        return evaluate(side.tokens, names)
    except UnreadableError:
        return None


def holds(statement: Statement) -> bool | None:
    """Whether a statement about numbers is true; None where it cannot be read or is not asserted."""
    if statement.disowned or statement.relation == "≡" or _has_residues(statement):
        return None
    left = value_of(statement.left)
    answers = [_related(left, statement, right) for right in _readings(statement.right)] if left else []
    return None if not answers else any(answers)


def _has_residues(statement: Statement) -> bool:
    return statement.left.has("mod") or statement.right.has("mod")


def _readings(side: Side) -> list[Value]:
    """A side's value, and where it ends with an exclamation mark, also the value without it."""
    values = [value_of(side)]
    if len(side.tokens) > 1 and side.tokens[-1].value == "!":
        values.append(value_of(Side(side.tokens[:-1], side.doubtful)))
    return [value for value in values if value is not None]


def _related(left: Value, statement: Statement, right: Value) -> bool:
    one, other = left.number, right.number
    if statement.relation in ("=", "~"):
        return _equal(left, statement, right)
    slack = Fraction(0) if left.exact and right.exact else abs(other) / 10**9
    if statement.relation == "!=":
        return one != other
    if statement.relation in ("<", "<="):
        return one < other + slack or (statement.relation == "<=" and one == other)
    return one > other - slack or (statement.relation == ">=" and one == other)


def _equal(left: Value, statement: Statement, right: Value) -> bool:
    one, other = left.number, right.number
    if one == other or (not (left.exact and right.exact) and abs(one - other) * 10**9 <= abs(other)):
        return True
    if any(
        _rounded(a, b.tokens, statement.rough) for a, b in ((one, statement.right), (other, statement.left))
    ):
        return True
    if statement.left.has("%") != statement.right.has("%"):
        return one == 100 * other or other == 100 * one
    return statement.rough and abs(one - other) * 20 <= max(abs(one), abs(other))


def _rounded(exact: Fraction, written: Sequence[Token], rough: bool) -> bool:
    """Whether a side that is one written number is the exact one, rounded or cut at its last digit."""
    digits = [token for token in written if token.value not in ("-", "%")]
    if len(digits) != 1 or digits[0].kind != "number" or not re.fullmatch(r"[\d.]+", digits[0].value):
        return False
    value, text = Fraction(digits[0].value), digits[0].value
    decimals = len(text.partition(".")[2])
    if decimals == 0 and not rough:
        return False
    unit = Fraction(1, 10**decimals)
    if decimals == 0:
        unit = Fraction(10 ** (len(text) - len(text.rstrip("0")))) if value else Fraction(1)
    if any(token.value == "%" for token in written):
        value, unit = value / 100, unit / 100
    exact = abs(exact)
    return abs(exact - value) * 2 <= unit or exact // unit * unit == value
