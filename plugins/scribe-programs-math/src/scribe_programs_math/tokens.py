"""Mathematical prose as tokens: plain text, LaTeX and unicode signs alike. One pass, linear in the text."""

import re
from collections.abc import Iterator
from typing import Literal

from attrs import frozen

MOST_TEXT = 20_000
"""Characters of a text that are looked at."""

Kind = Literal["number", "name", "word", "sign", "relation", "line", "stop", "unread"]

_PATTERN = re.compile(
    r"""
    (?P<text>\\(?:text|textbf|mathrm|operatorname)\s?\{[^{}\n]{0,200}\})
  | (?P<choose>\b[CP]\(\s?\d{1,4}\s?,\s?\d{1,4}\s?\)|\b\d{1,4}\ choose\ \d{1,4}\b)
  | (?P<number>\d{1,3}(?:(?:,|\{,\})\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|(?<![\w.])\.\d+)
  | (?P<relation>\\(?:leqslant|geqslant|leq?|geq?|lt|gt|neq?|approx|sim(?:eq)?|equiv|cong)(?![A-Za-z])
        |<=(?!>)|>=|==|!=|≤|≥|⩽|⩾|≠|≈|≃|≅|≡|(?<![:\-<=])=(?!>)|<(?![-=])|(?<![-=])>|(?<=\s)~(?=\s?[\d-]))
  | (?P<unread>\\(?:pm|mp|dots|ldots|cdots|overline|overrightarrow|lfloor|rfloor|lceil|rceil|sum|prod|int|infty)(?![A-Za-z])
        |\\[{}]|\.{2,}|[…_±∞∑∏∫⌊⌋⌈⌉|'\u2032]|(?<=\d)\s?:\s?(?=\d)|:=)
  | (?P<sqrt>\\sqrt(?![A-Za-z])|√|\bsqrt(?=\s?\())
  | (?P<frac>\\[dtc]?frac(?![A-Za-z]))
  | (?P<binom>\\[dt]?binom(?![A-Za-z]))
  | (?P<mod>\\(?:bmod|pmod|mod)(?![A-Za-z])|\bmod(?:ulo)?\b)
  | (?P<percent>\\%)
  | (?P<times>\\(?:cdot|times|ast)(?![A-Za-z])|[\u00d7·\u22c5\u2219])
  | (?P<over>\\div(?![A-Za-z])|[\u00f7\u2215\u2044])
  | (?P<pi>\\pi(?![A-Za-z])|π)
  | (?P<degree>\^\s?\{?\\circ\}?|\\circ(?![A-Za-z])|°)
  | (?P<arrow>\\(?:Rightarrow|implies|iff|to|rightarrow|Leftrightarrow)(?![A-Za-z])|[=\-<]{1,2}>|[→⇒⇔∴])
  | (?P<boxed>\\(?:boxed|fbox)(?![A-Za-z]))
  | (?P<newline>\\\\|\n)
  | (?P<blank>[^\S\n]+|\$|\\[()\[\],;:! ]|\\(?:quad|qquad|left|right|displaystyle|big|Big)(?![A-Za-z])|&)
  | (?P<raised>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)
  | (?P<bold>\*\*)
  | (?P<command>\\[A-Za-z]+)
  | (?P<letters>[^\W\d_]+(?:['\u2019][^\W\d_]+)?)
  | (?P<sign>[-+*/^!%(){}\[\]\u2212\u2013])
  | (?P<stop>.)
    """,
    re.VERBOSE,
)
_RELATIONS = {
    **dict.fromkeys(("\\le", "\\leq", "\\leqslant", "<=", "≤", "⩽"), "<="),
    **dict.fromkeys(("\\ge", "\\geq", "\\geqslant", ">=", "≥", "⩾"), ">="),
    **dict.fromkeys(("\\lt", "<"), "<"),
    **dict.fromkeys(("\\gt", ">"), ">"),
    **dict.fromkeys(("\\ne", "\\neq", "!=", "≠"), "!="),
    **dict.fromkeys(("\\approx", "\\sim", "\\simeq", "\\cong", "≈", "≃", "≅", "~"), "~"),
    **dict.fromkeys(("\\equiv", "≡"), "≡"),
    **dict.fromkeys(("=", "=="), "="),
}
_SIGNS = {"\u2212": "-", "\u2013": "-", "{": "(", "[": "(", "}": ")", "]": ")"}
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_PLAIN = {
    "times": "*",
    "over": "/",
    "percent": "%",
    "sqrt": "sqrt",
    "frac": "frac",
    "binom": "binom",
    "mod": "mod",
}
_LIST_MARK = re.compile(r"[-*+] ")
_GREEK = re.compile(r"\\(?:alpha|beta|gamma|delta|theta|lambda|mu|phi|omega|varphi)")


@frozen
class Token:
    """A piece of the text; `value` is its canonical form, blanks leave only their mark on the next token."""

    kind: Kind
    value: str
    start: int
    end: int
    spaced: bool = False


def tokens(text: str) -> list[Token]:
    """The tokens of a text, no further than `MOST_TEXT`."""
    found: list[Token] = []
    spaced = True
    for match in _PATTERN.finditer(text[:MOST_TEXT]):
        group = str(match.lastgroup)
        if group in ("blank", "degree", "boxed"):
            spaced = spaced or group != "degree"
            continue
        if group == "bold" and not _is_power(text, match.start()):
            spaced = True
            continue
        if (
            group == "sign"
            and (not found or found[-1].kind == "line")
            and _LIST_MARK.match(text, match.start())
        ):
            group = "stop"
        for token in _read(group, match, found[-1] if found else None, spaced):
            found.append(token)
        spaced = False
    return found


def _is_power(text: str, at: int) -> bool:
    """Whether two stars are an exponent, not the marks of bold type."""
    before, after = text[max(0, at - 1) : at], text[at + 2 : at + 3]
    return (before.isdigit() and after.isdigit()) or before == after == " "


def _read(group: str, match: re.Match[str], last: Token | None, spaced: bool) -> Iterator[Token]:
    text, start, end = match[0], match.start(), match.end()

    def made(kind: Kind, value: str) -> Token:
        return Token(kind, value, start, end, spaced)

    if group in _PLAIN:
        yield made("sign", _PLAIN[group])
    elif group == "number":
        yield made("number", text.replace("{,}", "").replace(",", ""))
    elif group == "relation":
        yield made("relation", _RELATIONS[text])
    elif group == "choose":
        yield made("number" if text[0] != "P" else "unread", ":".join(re.findall(r"\d+", text)))
    elif group == "raised":
        yield made("sign", "^")
        yield made("number", text.translate(_RAISED))
    elif group == "letters":
        yield from _letters(match, last, spaced)
    elif group in ("sign", "bold"):
        yield made("sign", _SIGNS.get(text, "^" if group == "bold" else text))
    elif group == "pi":
        yield made("number", "pi")
    elif group == "newline":
        yield made("line", "\n")
    elif group == "command" and _GREEK.fullmatch(text):
        yield made("name", text)
    elif group in ("text", "stop", "arrow"):
        yield made("word" if group == "text" else "stop", text)
    else:
        yield made("unread", text)


def _letters(match: re.Match[str], last: Token | None, spaced: bool) -> Iterator[Token]:
    """Words, variables, products of variables (`2ab`), and an x that is a times sign (`3 x 4`)."""
    text, start, end = match[0], match.start(), match.end()
    after = match.string[end : end + 2]
    if text in ("x", "X") and spaced and last and last.kind == "number" and re.match(r"\s\d", after):
        yield Token("sign", "*", start, end, spaced)
    elif len(text) == 1 or _is_product(text, last, spaced, after):
        for i, letter in enumerate(text):
            yield Token("name", letter, start + i, start + i + 1, spaced and not i)
    else:
        yield Token("word", text.lower(), start, end, spaced)


def _is_product(text: str, last: Token | None, spaced: bool, after: str) -> bool:
    joined = last is not None and not spaced and (last.kind == "number" or last.value in (")", "^"))
    return len(text) <= 3 and text.islower() and text.isascii() and (joined or after[:1] == "^")
