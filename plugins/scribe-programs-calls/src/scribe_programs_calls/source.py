"""A text that values may come from, and whether it states a number, a phrase or a word."""

import math
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from itertools import chain
from typing import TypeVar

from attrs import frozen

from scribe_programs_calls import dates, gazetteer, numbers
from scribe_programs_calls.words import STOPWORDS, compact, content_words, fold, is_latin, stem, words

_T = TypeVar("_T")
_LONGEST_ALIAS = 3
_MARK = re.compile(r"(?<![^\s'\"`])[^\w\s'\"`]{1,3}(?![^\s'\"`])")
_MISSPELT, _MOST_COMPARED, _MOST_STATED, _FEW = 0.86, 60, 12, 4


@frozen
class Source:
    """A text prepared for look-ups whose cost does not grow with the text's length."""

    letters: str
    """Folded letters and digits, nothing between."""
    spaced: str
    """Folded words between single spaces."""
    stemmed: str
    stems: frozenset[str]
    starts: frozenset[str]
    """First five letters of the longer words: misspellings and inflections mostly keep them."""
    longer: tuple[str, ...]
    """Different words of six letters or more, as many as can be compared one by one."""
    numbers: frozenset[float]
    stated: tuple[float, ...]
    """The first numbers as they are written, without other readings."""
    dates: frozenset[dates.Date]
    times: frozenset[tuple[int, int]]
    relative: bool
    latin: bool
    scripts: bool
    """Whether it has letters that are not Latin."""
    marks: frozenset[str]
    """What stands between spaces or quotes without a letter or digit, such as an operator."""


@lru_cache(maxsize=256)
def read_source(text: str) -> Source:
    """Prepares a text. A pure function, remembered because all programs of a rubric ask for the same few texts."""
    found = words(text)
    stated = numbers.mentions(text)
    values = [value for mention in stated for value in numbers.readings(mention)]
    values += [*numbers.fractions(text), *numbers.implied(text)]
    return Source(
        letters=compact(text),
        spaced=f" {' '.join(found)} ",
        stemmed=f" {' '.join(map(stem, found))} ",
        stems=frozenset(map(stem, found)),
        starts=frozenset(word[:5] for word in found if len(word) >= 5),
        longer=tuple(dict.fromkeys(word for word in found if 6 <= len(word) <= 30))[:_MOST_COMPARED],
        numbers=frozenset(map(_key, values)),
        stated=tuple(dict.fromkeys(mention.value for mention in stated))[:_MOST_STATED],
        dates=frozenset(dates.dates(text)),
        times=frozenset(dates.times(text)),
        relative=dates.is_relative(text),
        latin=is_latin(text),
        scripts=any(char.isalpha() and ord(char) >= 0x250 for char in text),
        marks=frozenset(_MARK.findall(text)),
    )


@lru_cache(maxsize=8)
def read_sources(texts: tuple[str, ...]) -> Source:
    """Several texts as one, each read by itself and remembered as `read_source` does. None are an empty text."""
    parts = [read_source(text) for text in texts or ("",)]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: Sequence[Source]) -> Source:
    return Source(
        letters="".join(part.letters for part in parts),
        spaced="".join(part.spaced[:-1] for part in parts) + " ",
        stemmed="".join(part.stemmed[:-1] for part in parts) + " ",
        stems=_union(part.stems for part in parts),
        starts=_union(part.starts for part in parts),
        longer=tuple(dict.fromkeys(chain.from_iterable(part.longer for part in parts)))[:_MOST_COMPARED],
        numbers=_union(part.numbers for part in parts),
        stated=tuple(dict.fromkeys(chain.from_iterable(part.stated for part in parts)))[:_MOST_STATED],
        dates=_union(part.dates for part in parts),
        times=_union(part.times for part in parts),
        relative=any(part.relative for part in parts),
        latin=parts[0].latin,
        scripts=any(part.scripts for part in parts),
        marks=_union(part.marks for part in parts),
    )


def _union(sets: Iterable[frozenset[_T]]) -> frozenset[_T]:
    return frozenset(chain.from_iterable(sets))


def _key(value: float) -> float:
    """Numbers that agree in nine digits have one key."""
    return float(f"{value:.9g}") if math.isfinite(value) else math.inf


def states_number(source: Source, value: float) -> bool:
    """Whether the text states a number in some reading; a minus may be in its words (a loss, west)."""
    return math.isfinite(value) and (
        _key(value) in source.numbers or (value < 0 and _key(-value) in source.numbers)
    )


def states_text(source: Source, text: str) -> bool:
    """Whether the text has these words in order, or all these letters where spacing and punctuation vary."""
    joined = " ".join(words(text))
    if joined and f" {joined} " in source.spaced:
        return True
    letters = compact(text)
    return len(letters) >= 4 and letters in source.letters


def has_word(source: Source, word: str) -> bool:
    """Whether the text has a folded word in some form."""
    return stem(word) in source.stems or (len(word) >= 5 and word[:5] in source.starts)


def _has_misspelt(source: Source, word: str) -> bool:
    return 6 <= len(word) <= 30 and bool(get_close_matches(word, source.longer, n=1, cutoff=_MISSPELT))


def share_of_words(source: Source, text: str, besides: Source | None = None) -> float:
    """The share of a value's words that the text has, in any form or under another name; 1 where it has none.

    Words that `besides` has too say nothing, unless there are no others.
    """
    wanted = (content_words(text) or words(text))[:200]
    if besides is not None:
        wanted = [word for word in wanted if not has_word(besides, word)] or wanted
    if not wanted:
        return 1.0
    aliased = _aliased(source, words(text)[:200])
    found = sum(word in aliased or has_word(source, word) for word in wanted)
    if not found and len(wanted) <= _FEW:
        found = sum(_has_misspelt(source, word) for word in wanted)
    return found / len(wanted)


def _aliased(source: Source, wanted: list[str]) -> set[str]:
    """The words that stand in the text under another name: `los`, `angeles` where it says LA."""
    known: set[str] = set()
    for length in range(1, _LONGEST_ALIAS + 1):
        for start in range(len(wanted) - length + 1):
            part = wanted[start : start + length]
            if any(_has_phrase(source, other) for other in gazetteer.others(" ".join(part))):
                known.update(part)
    return known


def _has_phrase(source: Source, phrase: str) -> bool:
    return f" {' '.join(map(stem, phrase.split()))} " in source.stemmed


def is_acronym(source: Source, text: str) -> bool:
    """Whether the text has the value's initials as a word, or the value is the initials of words in the text."""
    initials = "".join(word[0] for word in content_words(text))
    if len(initials) >= 2 and f" {initials} " in source.spaced:
        return True
    letters = fold(re.sub(r"[^A-Za-z]", "", text))
    if not 3 <= len(letters) <= 5 or not re.sub(r"[^A-Za-z]", "", text).isupper():
        return False
    spoken = source.spaced.split()
    chains = (spoken, (word for word in spoken if word not in STOPWORDS))
    return any(letters in "".join(word[0] for word in chain) for chain in chains)
