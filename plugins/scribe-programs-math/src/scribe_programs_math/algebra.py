"""Statements with variables: announced rewritings, and solutions put back into their equations."""

import re
from collections.abc import Iterator
from fractions import Fraction

from scribe_core.builders import program
from scribe_core.types import Finding, Subgoal
from scribe_programs_math.arithmetic import UnreadableError, evaluate
from scribe_programs_math.reading import NOT_APPLICABLE, failed, known_text, own_text, passed, undecided
from scribe_programs_math.statements import Side, Statement, holds, statements, value_of

_REWRITES = re.compile(
    r"\b(?:expand|factor(?!ial)|simplif|distribut|foil|complet\w+ the square|identity|difference of squares)",
    re.I,
)
_EQUATION = re.compile(r"\b(?:equation|set|equal to|solve|substitut|so that)\b", re.I)
_CHECKS = re.compile(
    r"\b(?:check(?:ing)?|verif(?:y|ying|ication)|substitut(?:e|ing)\w* back|plug(?:ging)?\b.{0,40}\bback)\b",
    re.I,
)
_TRIED = re.compile(
    r"\b(?:let|if|try|test|when|at|for|case|set(?:ting)?|put(?:ting)?|plug|take|where|with|start|initially)\b|reject|extraneous|discard",
    re.I,
)
_POINTS = (Fraction(3), Fraction(-7, 2), Fraction(11, 5))
"""Where a rewriting is tried; each variable gets another of their multiples."""
_MOST_NAMES, _MOST_CHECKED = 4, 40


@program
def identities_hold(subgoal: Subgoal) -> Finding:
    """Whether what is announced as expanding, factoring or simplifying gives the same expression."""
    decided = []
    text = own_text(subgoal)
    for statement in _with_names(text):
        before = text[max(0, statement.start - 100) : statement.start].rpartition("\n")[2]
        last = re.split(r"[.;:](?=\s)", before)
        announced = _REWRITES.search(" ".join(last[-2:]))
        if announced and not _EQUATION.search(last[-1]) and not _is_equation(statement):
            answer = _identical(statement)
            if answer is not None:
                decided.append((statement.quote, answer))
    wrong = [quote for quote, answer in decided if not answer]
    if wrong:
        return failed(f"the two sides differ: {wrong[0][:120]}", subgoal, *wrong[:3])
    return passed(subgoal, *(quote for quote, _ in decided)) if decided else NOT_APPLICABLE


def _with_names(text: str) -> list[Statement]:
    found = (s for s in statements(text) if s.relation == "=" and not s.disowned)
    return [s for s in found if s.left.names() or s.right.names()][:_MOST_CHECKED]


def _is_equation(statement: Statement) -> bool:
    """Whether one side is without variables, so that the equality holds for some values only."""
    return (
        not (statement.left.names() and statement.right.names())
        or min(len(statement.left.tokens), len(statement.right.tokens)) == 1
    )


def _identical(statement: Statement) -> bool | None:
    names = sorted(statement.left.names() | statement.right.names())
    if len(names) > _MOST_NAMES:
        return None
    tried = 0
    for point in _POINTS:
        values = {name: point * (i + 1) + i for i, name in enumerate(names)}
        left, right = value_of(statement.left, values), value_of(statement.right, values)
        if left is None or right is None:
            continue
        tried += 1
        if abs(left.number - right.number) * 10**9 > abs(right.number) + 1:
            return False
    return True if tried else None


@program
def solution_satisfies_equation(subgoal: Subgoal) -> Finding:
    """Whether a value found for the only variable of an equation makes both of its sides equal."""
    text = own_text(subgoal)
    equations = _with_names(f"{known_text(subgoal)}\n{text}")
    solutions = list(_solutions(text))
    if not equations or not solutions:
        return NOT_APPLICABLE
    decided = []
    for name, value, quote in solutions:
        equation = _first_equation(equations, name)
        answer = _satisfies(equation, name, value) if equation else None
        if equation is not None and answer is not None:
            decided.append((quote, equation.quote, answer))
    wrong = [(quote, equation) for quote, equation, answer in decided if not answer]
    if wrong and not any(answer for _, _, answer in decided):
        return failed(f"{wrong[0][0]} does not solve {wrong[0][1][:80]}", subgoal, *wrong[0])
    return passed(subgoal, *(quote for quote, _, _ in decided)) if decided else NOT_APPLICABLE


def _solutions(text: str) -> Iterator[tuple[str, Fraction, str]]:
    """(variable, value, quote) of what is found, not of what is tried."""
    for statement in _with_names(text):
        value = value_of(statement.right)
        before = text[max(0, statement.start - 60) : statement.start].rpartition(". ")[2].rpartition("\n")[2]
        alone = len(statement.left.tokens) == 1 and statement.left.tokens[0].kind == "name"
        if alone and value is not None and value.exact and not statement.rough and not _TRIED.search(before):
            yield statement.left.tokens[0].value, value.number, statement.quote


def _first_equation(equations: list[Statement], name: str) -> Statement | None:
    """The first equation in this variable alone: later ones follow from it."""
    found = (s for s in equations if s.left.names() | s.right.names() == {name} and not _is_assignment(s))
    return next(found, None)


def _is_assignment(statement: Statement) -> bool:
    return len(statement.left.tokens) == 1 or (
        len(statement.right.tokens) == 1 and bool(statement.right.names())
    )


def _satisfies(equation: Statement, name: str, value: Fraction) -> bool | None:
    left, right = (_at(side, name, value) for side in (equation.left, equation.right))
    if left is None or right is None:
        return None
    return abs(left - right) * 10**9 <= abs(right) + Fraction(1, 10**6)


def _at(side: Side, name: str, value: Fraction) -> Fraction | None:
    if side.doubtful:
        return None
    try:
        return evaluate(side.tokens, {name: value}).number
    except UnreadableError:
        return None


@program
def substitution_carried_out(subgoal: Subgoal) -> Finding:
    """Whether an announced check computes something, and what it computes agrees."""
    text = own_text(subgoal)
    announced = _CHECKS.search(text)
    if announced is None:
        return NOT_APPLICABLE
    after = [s for s in statements(text) if s.start >= announced.start() and s.relation in ("=", "~", "≡")]
    decided = [(s, holds(s)) for s in after]
    wrong = [s.quote for s, answer in decided if answer is False]
    if wrong:
        return failed(f"the check does not come out: {wrong[0][:120]}", subgoal, *wrong[:3])
    if not after and not any(s.start >= announced.start() for s in statements(text)):
        return failed("a check is announced, and nothing is computed", subgoal, announced[0])
    right = [s.quote for s, answer in decided if answer]
    return passed(subgoal, *right) if right else undecided("what is computed cannot be read")
