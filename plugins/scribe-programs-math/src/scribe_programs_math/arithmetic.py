"""Arithmetic without eval: a recursive descent parser over tokens, with bounded numbers and depth.

Values are Fractions; a root or pi makes them inexact. With a modulus everything is computed in its residues,
so that powers may be large.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from attrs import define, frozen

from scribe_programs_math.tokens import Token

MOST_TOKENS, MOST_DEPTH, MOST_DIGITS = 200, 24, 40
MOST_BITS = 2048
"""Numbers of more bits are not computed."""
_MOST_FACTORIAL, _MOST_CHOSEN = 120, 400


class UnreadableError(Exception):
    """The tokens are no arithmetic, or it would be too large."""


@frozen
class Value:
    """A number, and whether it is exact."""

    number: Fraction
    exact: bool = True


def evaluate(
    side: Sequence[Token], names: Mapping[str, Fraction] | None = None, modulus: int | None = None
) -> Value:
    """The value of tokens. Raises UnreadableError."""
    if not 0 < len(side) <= MOST_TOKENS:
        raise UnreadableError("nothing, or too much")
    parser = _Parser(side, names or {}, modulus)
    value = parser.sum()
    if parser.at < len(side):
        raise UnreadableError(f"{side[parser.at].value!r} cannot follow")
    return value


@define
class _Parser:
    side: Sequence[Token]
    names: Mapping[str, Fraction]
    modulus: int | None
    at: int = 0
    depth: int = 0

    def peek(self) -> str:
        return self.side[self.at].value if self.at < len(self.side) else ""

    def take(self, *wanted: str) -> bool:
        """Whether the next token is a sign among `wanted`; if so, it is passed."""
        if self.at < len(self.side) and self.side[self.at].kind == "sign" and self.peek() in wanted:
            self.at += 1
            return True
        return False

    def sum(self) -> Value:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise UnreadableError("too deep")
        value = self.product()
        while (sign := self.peek()) in ("+", "-") and self.take("+", "-"):
            other = self.product()
            number = value.number + other.number if sign == "+" else value.number - other.number
            value = self.bounded(number, value.exact and other.exact)
        self.depth -= 1
        return value

    def product(self) -> Value:
        value = self.signed()
        while True:
            if self.take("*"):
                other = self.signed()
                value = self.bounded(value.number * other.number, value.exact and other.exact)
            elif self.take("/"):
                other = self.signed()
                value = self.bounded(self.quotient(value, other), value.exact and other.exact)
            elif self.multiplies():
                other = self.power()
                value = self.bounded(value.number * other.number, value.exact and other.exact)
            else:
                return value

    def multiplies(self) -> bool:
        """Whether what follows is multiplied without a sign: 2(3), (2)(3), 2x, 2 sqrt 3; not 2 3 and not 2 1/2."""
        if self.at >= len(self.side):
            return False
        last, token = self.side[self.at - 1], self.side[self.at]
        if token.kind == "name" or token.value in ("sqrt", "pi"):
            return True
        if token.value == "(" and token.kind == "sign":
            return last.value != "pi"
        return token.value == "frac" and last.kind != "number"

    def quotient(self, value: Value, other: Value) -> Fraction:
        if self.modulus is not None:
            raise UnreadableError("a quotient among residues")
        if other.number == 0:
            raise UnreadableError("division by zero")
        return value.number / other.number

    def signed(self) -> Value:
        negative = False
        for _ in range(3):
            if not self.take("-", "+"):
                break
            negative ^= self.side[self.at - 1].value == "-"
        value = self.power()
        return Value(-value.number, value.exact) if negative else value

    def power(self) -> Value:
        base = self.postfix()
        if not self.take("^"):
            return base
        exponent = self.exponent()
        return self.raised(base, exponent)

    def exponent(self) -> Value:
        """What stands above: never a residue, and a tower is read from its top."""
        modulus, self.modulus = self.modulus, None
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise UnreadableError("too deep")
        negative = self.take("-")
        value = self.postfix()
        if self.take("^"):
            value = self.raised(value, self.exponent())
        self.modulus = modulus
        self.depth -= 1
        return Value(-value.number, value.exact) if negative else value

    def raised(self, base: Value, exponent: Value) -> Value:
        power = exponent.number
        if power.denominator == 2 and power > 0 and self.modulus is None:
            return self.raised(root(base), Value(power * 2, exponent.exact))
        if power.denominator != 1 or not exponent.exact:
            raise UnreadableError("a fractional exponent")
        if self.modulus is not None:
            if power < 0 or base.number.denominator != 1:
                raise UnreadableError("no residue")
            return Value(Fraction(pow(int(base.number), int(power), self.modulus)))
        size = max(base.number.numerator.bit_length(), base.number.denominator.bit_length(), 1)
        if abs(power) * size > MOST_BITS or (power < 0 and base.number == 0):
            raise UnreadableError("too large a power")
        return self.bounded(base.number ** int(power), base.exact)

    def postfix(self) -> Value:
        value = self.atom()
        for _ in range(3):
            if self.take("!"):
                if value.number.denominator != 1 or not 0 <= value.number <= _MOST_FACTORIAL:
                    raise UnreadableError("too large a factorial")
                if self.modulus is not None and self.side[self.at - 2].kind != "number":
                    raise UnreadableError("the factorial of a residue")
                value = self.bounded(Fraction(math.factorial(int(value.number))), True)
            elif self.take("%"):
                value = self.bounded(value.number / 100, value.exact)
            else:
                break
        return value

    def atom(self) -> Value:
        if self.at >= len(self.side):
            raise UnreadableError("it ends too early")
        token = self.side[self.at]
        self.at += 1
        if token.kind == "number":
            return Value(*_number(token.value))
        if token.kind == "name" and token.value in self.names:
            return Value(self.names[token.value])
        if token.kind != "sign":
            raise UnreadableError(f"{token.value!r} is no number")
        if token.value == "(":
            return self.closed()
        if token.value == "sqrt":
            return root(self.group())
        if token.value in ("frac", "binom"):
            one, other = self.group(), self.group()
            if token.value == "binom":
                return self.bounded(chosen(one.number, other.number), True)
            return self.bounded(self.quotient(one, other), one.exact and other.exact)
        raise UnreadableError(f"{token.value!r} cannot begin a number")

    def closed(self) -> Value:
        value = self.sum()
        if not self.take(")"):
            raise UnreadableError("a bracket is not closed")
        return value

    def group(self) -> Value:
        return self.closed() if self.take("(") else self.atom_digit()

    def atom_digit(self) -> Value:
        """What LaTeX takes without braces: one token, which must be one digit (`\\frac12` is not read)."""
        if self.at < len(self.side) and self.side[self.at].kind in ("number", "name"):
            return self.atom()
        raise UnreadableError("a brace is missing")

    def bounded(self, number: Fraction, exact: bool) -> Value:
        if max(number.numerator.bit_length(), number.denominator.bit_length()) > MOST_BITS:
            raise UnreadableError("too large")
        if self.modulus is not None and number.denominator == 1:
            number = Fraction(int(number) % self.modulus)
        return Value(number, exact)


def root(value: Value) -> Value:
    """The square root: exact where it is rational."""
    number = value.number
    if number < 0:
        raise UnreadableError("the root of a negative number")
    exact = Fraction(math.isqrt(number.numerator), math.isqrt(number.denominator))
    if exact * exact == number:
        return Value(exact, value.exact)
    if number.numerator.bit_length() > 900 or number.denominator.bit_length() > 900:
        raise UnreadableError("too large a root")
    return Value(Fraction(math.sqrt(number)), False)


def chosen(n: Fraction, k: Fraction) -> Fraction:
    """The binomial coefficient of integers in reach."""
    if n.denominator != 1 or k.denominator != 1 or not 0 <= k <= n <= _MOST_CHOSEN:
        raise UnreadableError("no binomial coefficient in reach")
    return Fraction(math.comb(int(n), int(k)))


def _number(text: str) -> tuple[Fraction, bool]:
    if text == "pi":
        return Fraction(math.pi), False
    if ":" in text:
        n, k = text.split(":")
        return chosen(Fraction(n), Fraction(k)), True
    if len(text) > MOST_DIGITS:
        raise UnreadableError("too many digits")
    return Fraction(text), True
