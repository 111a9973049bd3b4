"""Stated congruences and residues: a ≡ b (mod m), 17 mod 5 = 2."""

import itertools
from collections.abc import Iterator
from math import gcd

from scribe_core.builders import program
from scribe_core.types import Finding, Subgoal
from scribe_programs_math.arithmetic import MOST_DIGITS, UnreadableError, evaluate
from scribe_programs_math.reading import NOT_APPLICABLE, failed, own_text, passed
from scribe_programs_math.statements import Chain, chains, statements
from scribe_programs_math.tokens import Token


@program
def congruences_hold(subgoal: Subgoal) -> Finding:
    """Whether every stated congruence or residue of numbers holds."""
    text = own_text(subgoal)
    disowned = {s.start for s in statements(text) if s.disowned}
    decided = [
        (text[start:end], answer)
        for chain in chains(text)
        for start, end, answer in _decided(chain)
        if start not in disowned
    ]
    wrong = [quote for quote, answer in decided if not answer]
    if wrong:
        return failed(f"it does not hold: {'; '.join(wrong[:3])[:200]}", subgoal, *wrong[:3])
    return passed(subgoal, *(quote for quote, _ in decided)) if decided else NOT_APPLICABLE


def _decided(chain: Chain) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether it holds) of each readable pair of neighbouring sides."""
    modulus, last = _split(chain.sides[-1].tokens)
    if modulus is not None and last and all(relation in ("=", "≡") for relation in chain.relations):
        parts = [side.tokens for side in chain.sides[:-1]] + [last]
        yield from _congruent(parts, chain, modulus)
        return
    for left, relation, right in zip(chain.sides, chain.relations, chain.sides[1:], strict=False):
        modulus, dividend = _split(left.tokens)
        if modulus is not None and dividend and right.tokens and relation in ("=", "≡") and not left.doubtful:
            answer = _same_residue(dividend, right.tokens, modulus)
            if answer is not None:
                yield left.start, right.end, answer


def _congruent(parts: list[tuple[Token, ...]], chain: Chain, modulus: int) -> Iterator[tuple[int, int, bool]]:
    for i, (one, other) in enumerate(itertools.pairwise(parts)):
        if not one or not other or (i == 0 and chain.sides[0].doubtful):
            continue
        answer = _same_residue(one, other, modulus)
        if answer is not None:
            yield one[0].start, chain.sides[-1].end, answer


def _split(side: tuple[Token, ...]) -> tuple[int | None, tuple[Token, ...]]:
    """The modulus that a side ends with, and what stands before it."""
    places = [i for i, token in enumerate(side) if token.value == "mod"]
    if len(places) != 1:
        return None, side
    at = places[0]
    tail = [token for token in side[at + 1 :] if token.value not in ("(", ")")]
    head = side[: at - 1] if at and side[at - 1].value == "(" else side[:at]
    if len(tail) != 1 or not tail[0].value.isdecimal() or len(tail[0].value) > MOST_DIGITS:
        return None, side
    modulus = int(tail[0].value)
    return (modulus, head) if modulus > 1 else (None, side)


def _same_residue(one: tuple[Token, ...], other: tuple[Token, ...], modulus: int) -> bool | None:
    try:
        left, right = (evaluate(side, modulus=modulus).number for side in (one, other))
    except UnreadableError:
        return None
    if gcd(left.denominator * right.denominator, modulus) != 1:
        return None
    cross = left.numerator * right.denominator - right.numerator * left.denominator
    return cross % modulus == 0
