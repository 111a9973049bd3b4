r"""A fence around what a policy wrote, so that none of it can pass for the judge's own instructions.

Every line stands behind "| ", between two lines with a random mark. Characters that hide or reorder text become
visible escapes (`\u{200b}`), and the special tokens of chat formats are broken up. What a judge quotes of it is
found again in the original.
"""

import re
import secrets
import unicodedata
from bisect import bisect_left
from functools import lru_cache

from attrs import frozen

GUTTER = "| "
SHORTEST_QUOTE = 3
"""Characters other than spaces: a shorter quote stands in any text, and shows nothing."""

_LINE_BREAK = r"\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"
_SPECIAL = (
    r"<[|\uff5c]|[|\uff5c]>|<(?=/?s>|</?SYS>>)|\[(?=/?[A-Z_]{4,}\])"
    r"|<(?=/?(?:think|start_of_turn|end_of_turn|bos|eos|pad|unk|begin_of_text|system|user|assistant)>)"
)
_CHANGED = re.compile(
    f"(?P<line_break>{_LINE_BREAK})|(?P<special>{_SPECIAL})|(?P<other>[^\\t\\n\\x20-\\x7e])"
)
_HARMLESS = re.compile(r"[\t\n -;=-Z\\-{}~]*")
_ESCAPE = re.compile(r"\\u\{[0-9a-f]+\}")
_QUOTATION = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}
_HIDDEN = ("Cc", "Cf", "Co", "Cs", "Cn")


def new_mark() -> str:
    """A mark that nobody who wrote the text before can have known."""
    return secrets.token_hex(8)


@frozen
class Neutral:
    """A text made harmless, and for each of its characters the one of the original that it stands for."""

    text: str
    original: str
    origin: tuple[int, ...] | None
    """None where nothing was changed."""

    def locate(self, quote: str) -> str | None:
        """The stretch of the original that a quote repeats, but for spacing and gutters.

        None where it stands nowhere, is too short, or shows nothing.
        """
        place = self.place(quote)
        found = "" if place is None else self.original[slice(*place)]
        return found if is_visible(found) else None

    def place(self, quote: str, since: int = 0) -> tuple[int, int] | None:
        """Where that stretch begins and ends in the original, at character `since` or later."""
        words = _words(quote)
        length = sum(map(len, words))
        if not words or (length < SHORTEST_QUOTE and length < len("".join(self.text.split()))):
            return None
        start, end = _find(
            self.text, words, since if self.origin is None else bisect_left(self.origin, since)
        )
        if start < 0:
            return self._place_folded(quote, since)
        if self.origin is None:
            return start, end
        last = self.origin[end - 1]
        after = next((at for at in self.origin[end:] if at > last), len(self.original))
        return self.origin[start], after

    def _place_folded(self, quote: str, since: int) -> tuple[int, int] | None:
        """Where it stands but for what a model tidies: hidden characters, accents, quotation marks, full-width letters."""
        words = "".join(map(_folded, _ESCAPE.sub("", " ".join(_words(quote))))).split()
        if sum(map(len, words)) < SHORTEST_QUOTE:
            return None
        parts = [
            (folded, at)
            for at, character in enumerate(self.original)
            if at >= since
            for folded in _folded(character)
        ]
        start, end = _find("".join(folded for folded, _ in parts), words)
        return None if start < 0 else (parts[start][1], parts[end - 1][1] + 1)


def neutral(text: str) -> Neutral:
    """A text that hides nothing and holds no special token of a chat format."""
    if _HARMLESS.fullmatch(text) or not _CHANGED.search(text):
        return Neutral(text, text, None)
    parts: list[str] = []
    origin: list[int] = []
    at = 0
    for match in _CHANGED.finditer(text):
        start, end = match.span()
        shown = _shown(match)
        parts += [text[at:start], shown]
        origin += [*range(at, start), *[start] * len(shown)]
        at = end
    parts.append(text[at:])
    origin += range(at, len(text))
    return Neutral("".join(parts), text, tuple(origin))


def fenced(text: str, mark: str) -> str:
    """A neutral text between its marks, each line behind the gutter."""
    lines = "\n".join(GUTTER + line for line in text.split("\n"))
    return f"[begin {mark}]\n{lines}\n[end {mark}]"


def _shown(match: re.Match[str]) -> str:
    if match["line_break"]:
        return "\n"
    # Broken up by a backslash, a special token is letters like any others.
    return f"{match[0][0]}\\{match[0][1:]}" if match["special"] else _visible(match[0])


@lru_cache(maxsize=4096)
def _visible(character: str) -> str:
    if character in "\n\t" or (character.isascii() and character.isprintable()):
        return character
    hidden = unicodedata.category(character) in _HIDDEN or _is_filler(character)
    return f"\\u{{{ord(character):x}}}" if hidden else character


def is_visible(text: str) -> bool:
    """Whether a reader would see anything at all."""
    return any(
        not character.isspace()
        and unicodedata.category(character) not in (*_HIDDEN, "Mn", "Me", "Zs", "Zl", "Zp")
        and not _is_filler(character)
        for character in text
    )


@lru_cache(maxsize=4096)
def _folded(character: str) -> str:
    """What a character looks like, roughly; nothing where it is hidden, or a mark on another one."""
    if character in _QUOTATION:
        return _QUOTATION[character]
    plain = unicodedata.normalize("NFKD", character)
    return "".join(each for each in plain if each.isspace() or is_visible(each))


def _is_filler(character: str) -> bool:
    """Letters and marks that show nothing: Hangul fillers, variation selectors, the combining grapheme joiner."""
    code = ord(character)
    return (
        code in (0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800, 0x034F)
        or 0xFE00 <= code <= 0xFE0F
        or 0xE0100 <= code <= 0xE01EF
    )


def _words(quote: str) -> list[str]:
    lines = quote.strip().split("\n")
    return " ".join(line.removeprefix(GUTTER).removeprefix("|") for line in lines).split()


def _find(text: str, words: list[str], since: int = 0) -> tuple[int, int]:
    """Where the words stand in a row, whatever space is between them; (-1, -1) where they do not."""
    exact = " ".join(words)
    at = text.find(exact, since)
    if at >= 0:
        return at, at + len(exact)
    match = re.compile(r"\s+".join(map(re.escape, words))).search(text, since)
    return match.span() if match else (-1, -1)
