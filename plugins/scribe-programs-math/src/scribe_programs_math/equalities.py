"""Stated relations between numbers: computed again, exactly."""

from collections.abc import Callable, Sequence

from scribe_core.builders import program
from scribe_core.types import Finding, Subgoal
from scribe_programs_math.reading import NOT_APPLICABLE, failed, own_text, passed
from scribe_programs_math.statements import Statement, holds, statements

_ORDER = ("<", "<=", ">", ">=")


@program
def equalities_hold(subgoal: Subgoal) -> Finding:
    """Whether every stated equality of numbers holds, up to rounding that its decimals show."""
    return _all_hold(subgoal, lambda s: s.relation in ("=", "!=") and not s.rough)


@program
def inequalities_hold(subgoal: Subgoal) -> Finding:
    """Whether every stated inequality between numbers holds."""
    return _all_hold(subgoal, lambda s: s.relation in _ORDER)


@program
def approximations_close(subgoal: Subgoal) -> Finding:
    """Whether every value said to be approximate is within rounding, or five percent, of what it stands for."""
    return _all_hold(subgoal, lambda s: s.relation == "~" or (s.relation == "=" and s.rough))


@program
def counts_computed(subgoal: Subgoal) -> Finding:
    """Whether every equality with factorials, binomial coefficients or powers holds."""
    return _all_hold(subgoal, lambda s: s.relation == "=" and not s.rough and (_counts(s)))


def _counts(statement: Statement) -> bool:
    sides = (statement.left, statement.right)
    return any(side.has("!", "binom", "^") or any(":" in t.value for t in side.tokens) for side in sides)


def _all_hold(subgoal: Subgoal, chosen: Callable[[Statement], bool]) -> Finding:
    decided = [(s, holds(s)) for s in statements(own_text(subgoal)) if chosen(s)]
    wrong = [statement for statement, answer in decided if answer is False]
    right = [statement for statement, answer in decided if answer and not _is_trivial(statement)]
    if wrong:
        return failed(f"it does not hold: {_quotes(wrong)}", subgoal, *(s.quote for s in wrong[:3]))
    return passed(subgoal, *(s.quote for s in right)) if right else NOT_APPLICABLE


def _is_trivial(statement: Statement) -> bool:
    """Whether a true statement says nothing: both sides are the same."""
    return [t.value for t in statement.left.tokens] == [t.value for t in statement.right.tokens]


def _quotes(wrong: Sequence[Statement]) -> str:
    return "; ".join(" ".join(statement.quote.split())[:80] for statement in wrong[:3])
