"""Signs in a request's wording that it asks for several calls: ordinals, connectives, lists of common words."""

import re
from collections.abc import Sequence

from scribe_core.types import ToolCall
from scribe_programs_calls.asked import Asked, values_of
from scribe_programs_calls.source import has_word, share_of_words
from scribe_programs_calls.words import STOPWORDS, content_words, stem, word_set, words

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_ITEM = r"(?:the |an? )?([a-z]{3,30}(?:-[a-z]{1,30})?)"
_LIST = re.compile(rf"(?<![\w-]){_ITEM}((?:, {_ITEM}){{0,8}}),? (?:and|or|&) {_ITEM}(?![\w-])")
_NEXT = re.compile(
    r"\b(?:then|also|after that|finally|lastly|additionally|furthermore|and another|do the same|same for)\b"
)
_NO_VALUES = word_set(
    "find get calculate compute tell show give compare check also then what how who where which when why book search play "
    "set make create order determine estimate please let could can would should return finally lastly next provide retrieve "
    "fetch list convert send use using need want help see know think add remove delete update change turn open close start "
    "stop including considering assuming given but while not both first second third fourth fifth last same other another "
    "different new old previous following two three four five six seven eight nine ten"
)


def ordinals(text: str) -> int:
    """How many things a request counts up: first, second, and the last are 3; 0 where it does not count."""
    found = set(words(text))
    count = next((n for n, word in enumerate(_ORDINALS) if word not in found), len(_ORDINALS))
    count += bool(count) and not found.isdisjoint(("last", "lastly", "finally"))
    return count if count > 1 else 0


def connectives(text: str) -> int:
    """How many things a request asks for, by its connectives: what comes first, and what follows each."""
    return 1 + len(_NEXT.findall(" ".join(words(text))))


def listed_beside_used(asked: Asked, made: Sequence[ToolCall]) -> str | None:
    """An unused common word in one list with a used one: `navy, purple and maroon`."""
    used = {stem(word) for value in values_of(made) for word in content_words(value)}
    for match in _LIST.finditer(asked.text[:20000]):
        items = [word for word in words(match[0]) if word not in ("the", "an", "a", "and", "or")]
        unused = [item for item in items if stem(item) not in used and _is_unknown(item, asked)]
        if all(map(_may_be_value, items)) and unused and any(stem(item) in used for item in items):
            return unused[0]
    return None


def _may_be_value(word: str) -> bool:
    return len(word) > 2 and word not in STOPWORDS and word not in _NO_VALUES


def _is_unknown(word: str, asked: Asked) -> bool:
    """Neither used, also under another name, nor one of the tool's own words."""
    return not has_word(asked.about, word) and share_of_words(asked.given, word) < 1
