"""Text as comparable words: folded, split, stemmed. Linear in the text, and the same for a request and a value."""

import re
import unicodedata

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W\d_]+|\d+")
_QUOTES = str.maketrans(
    {0x2019: "'", 0x2018: "'", 0x02BC: "'", 0x201C: '"', 0x201D: '"', 0x2013: "-", 0x2014: "-", 0x2212: "-"}
)
_LONGEST = 40
"""Longer runs of letters are no words, and are not stemmed."""
_ENDINGS = (
    *(
        "ically",
        "ational",
        "ation",
        "ment",
        "ness",
        "ing",
        "ied",
        "ical",
        "ally",
        "ity",
        "ion",
        "ive",
        "ous",
        "est",
    ),
    *("ed", "er", "or", "al", "ic", "ly", "e", "i", "y"),
)


def word_set(text: str) -> frozenset[str]:
    """The words of a list written with spaces between."""
    return frozenset(re.findall(r"\S+", text))


STOPWORDS = word_set(
    "a about after all also am an and another any are as at available be been before being between both but by can "
    "could did do does during each either every following for from further given had has have her here his how i if "
    "in into is it its just know let like look may me might more most must my need of on once one only or other our "
    "out over per please provide same several shall she should show so some such tell than that the their them then "
    "there these they this those through to too under up us use used using via want was we were what when where "
    "whether which while who whom whose will with within without would you your"
)


def fold(text: str) -> str:
    """Lower case, without accents, with plain quotes and dashes."""
    plain = unicodedata.normalize("NFKD", text.translate(_QUOTES)).casefold()
    return "".join(char for char in plain if not unicodedata.combining(char))


def words(text: str) -> list[str]:
    """Folded words and digit runs, in order; possessives dropped."""
    return _WORD.findall(fold(text).replace("'s ", " ").replace("n't", " not"))


def name_words(name: str) -> list[str]:
    """The words of an identifier: `getTopCities_v2` is get, top, cities, v, 2."""
    return words(_CAMEL.sub(" ", name).replace("_", " "))


def content_words(text: str) -> list[str]:
    """Words without function words and single letters."""
    return [word for word in words(text) if word not in STOPWORDS and (len(word) > 1 or word.isdigit())]


def compact(text: str) -> str:
    """Folded letters and digits only: how `L.A. Lakers` and `la-lakers` are alike."""
    return "".join(char for char in fold(text) if char.isalnum())


def stem(word: str) -> str:
    """The word without its endings: rough, but the same for `classic` and `classical`, `cities` and `city`."""
    if not 3 < len(word) <= _LONGEST:
        return word
    if word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    while len(word) > 3:
        ending = next((e for e in _ENDINGS if word.endswith(e) and len(word) - len(e) >= 3), None)
        if ending is None:
            break
        word = word[: -len(ending)]
    return word


def is_latin(text: str) -> bool:
    """Whether at least half of the letters are Latin: words cannot be compared across scripts."""
    letters = [char for char in text[:2000] if char.isalpha()]
    return 2 * sum(ord(char) < 0x250 for char in letters) >= len(letters)
