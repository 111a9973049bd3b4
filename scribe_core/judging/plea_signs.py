"""Signs by which a line or a sentence is taken for a plea to a grader: words, turns of phrase, and what hides.

The lists are by kind of trick, not by attack: talk of grading, praise of one's own work, orders to a model, fake
ends and headings, verdicts in the form of a reply. They may be generous, for a sign costs a second look and its line.
Most units have none, so what a search costs is spent only where a cheap look finds what it begins with.
"""

import re
import unicodedata
from codecs import decode
from collections.abc import Iterator, Set
from functools import lru_cache

from scribe_core.judging.plea_phrases import HEADS, PHRASES, heads

SHORT = 2000
"""Characters of a line or a sentence whose signs are remembered: spans share their contexts, and groups their words."""
SHORTEST_CODE = 32
"""Characters without a space that something encoded has at least."""

_ENGLISH = (
    r"graders?\b|grading\b|graded\b|regrade|autograder|evaluators?\b|assessors?\b|examiners?\b|judges?\b|judging\b|"
    r"judge?ments?\b|reviewers?\b|annotators?\b|rubric|verdict|scoring\b|"
    "full marks|full credit|partial credit|full points|lenien|failure mode|reward model|"
    "reward function|reward hack|answer key|model answer|reference answer|reference solution|gold standard|"
    "ground truth|benefit of the doubt|prompt injection|jailbreak"
)
_OTHERS = (
    # German, French, Spanish, Italian, Portuguese, Dutch, Polish, Turkish
    "bewert|benotung|benote|punktzahl|volle punkte|höchstnote|bestnote|prüfer|gutachter|korrektor|ignorier|anweisung|"
    "évaluateur|évaluatrice|correcteur|barème|note maximale|meilleure note|notez|ignorez|ignore les|juge|"
    "calificación|calificaciones|calificar|califique|califica|evaluador|puntuación|puntaje|nota máxima|rúbrica|juez|"
    "ignora (?:las|los|tod|cual|la |le |i |gli|tutt|as |os )|ignore (?:las|los|tod|as |os )|"
    "instrucciones|valutatore|valutazione|punteggio|voto massimo|massimo dei voti|istruzioni|giudice|"
    "avaliador|avaliação|avalie|pontuação|instruções|juiz|beoordel|negeer|instructies|hoogste score|"
    "oceniając|ocena|oceń|punktów|zignoruj|instrukcje|değerlendir|talimat|tam puan|yok say|"
    # Russian, Arabic, Hindi
    "оценк|оценив|оцени|балл|проверяющ|экзаменатор|инструкци|игнориру|судья|"
    "تقييم|المقيم|الدرجة|درجة كاملة|تجاهل|تعليمات|अंक|मूल्यांकन|निर्देश|अनदेखा|"
    # Chinese, Japanese, Korean
    "评分|打分|满分|评委|评判|评审|裁判|忽略|指令|得分|評分|滿分|評審|採点|評価|満点|無視|指示|審査|スコア|채점|평가|만점|무시|지시|점수"
)
_MIXED = r"[a-zA-Z][\u0400-\u052f]|[\u0400-\u052f][a-zA-Z]"
_UNSEEN = (
    r"[\x00-\x08\x7f\u200b\u2060-\u2064\u202a-\u202e\u2066-\u2069\u115f\u1160\u3164\uffa0\U000e0000-\U000e0fff]"
    r"|[\u00ad\u034f\u061c\u200c-\u200f\ufe00-\ufe0f\ufeff]{3}"
)
_ENCODED = (
    r"\b(?<![\w+/])(?=[\w+/]{0,200}[a-z])(?=[\w+/]{0,200}[A-Z])(?=[\w+/]{0,200}\d)[A-Za-z0-9+/]{60}|\b[0-9a-fA-F]{129}"
    r"|(?:%[0-9a-fA-F]{2}){12}|(?:\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|&#x?[0-9a-fA-F]{2,6};){8}"
)
_LOOKALIKES = str.maketrans("асеіјорѕхуѵһԁοαε", "aceijopsxyvhdoae")
# A letter, what divides it from the next, and so on; the first pair stands before the look behind it, which is slow.
_SPELLED = re.compile(r"[a-z][ .*_-](?<![a-z][a-z].)(?:[a-z][ .*_-]){3,39}[a-z](?![a-z])")
_PLAIN = str.maketrans("_\u2018\u2019\u201c\u201d\u2013\u2014", " ''\"\"--")


def fold(text: str) -> str:
    """The text as it sounds: small plain letters without accents, look-alikes, hidden characters or spelling out."""
    if text.isascii():
        return _SPELLED.sub(_joined, text.lower().replace("_", " "))
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    text = "".join(c for c in parts if unicodedata.category(c) not in ("Mn", "Cf", "Cc") or c.isspace())
    return _SPELLED.sub(_joined, text.translate(_LOOKALIKES).casefold().translate(_PLAIN))


def _joined(match: re.Match[str]) -> str:
    return match[0][::2]


def _stems(words: str) -> frozenset[str]:
    """What a match of these words begins with, five letters at most, where those are ASCII."""
    listed = re.sub(r"\(.*?\)", "", words).split("|")
    return frozenset(stem[0] for word in listed if (stem := re.match(r"[a-z]{1,5}(?!\?)", word)))


def _reversed(text: str) -> str:
    return text[::-1]


def _rot13(text: str) -> str:
    return decode(text, "rot13")


_TURNS = (_reversed, _rot13)
_ENGLISH, _OTHERS = fold(_ENGLISH), fold(_OTHERS)
_WORDS = re.compile(f"(?<![a-z])(?:{_ENGLISH}|{_OTHERS})")
_WORD_HEADS = frozenset().union(*map(heads, _stems(f"{_ENGLISH}|{_OTHERS}")))
_TURNED = re.compile(_ENGLISH)
_TURNED_STEMS = re.compile("|".join(turn(stem) for turn in _TURNS for stem in sorted(_stems(_ENGLISH))))
_SEARCHED = {name: re.compile(pattern) for name, pattern in PHRASES.items()}
_BY_HEAD = {
    head: [name for name in HEADS if head in HEADS[name].split()] for head in " ".join(HEADS.values()).split()
}
_HIDDEN = {"mixed": re.compile(_MIXED), "unseen": re.compile(_UNSEEN)}
_ENCODED_RUN = re.compile(_ENCODED)


def signs(unit: str) -> frozenset[str]:
    """The signs that a line or a sentence shows, each by its word or by the name of its kind."""
    return _remembered(unit) if len(unit) <= SHORT else _signs(unit)


def _signs(unit: str) -> frozenset[str]:
    folded = fold(unit.strip())
    seen = heads(folded)
    found = {*_words(folded, seen), *_phrases(folded, seen), *_turned(folded)}
    if not (unit.isascii() and unit.strip().isprintable()):
        found |= {name for name, pattern in _HIDDEN.items() if pattern.search(unit)}
    if max(map(len, unit.split()), default=0) >= SHORTEST_CODE and _ENCODED_RUN.search(unit):
        found.add("encoded")
    return frozenset(found)


def _words(folded: str, seen: Set[str]) -> Iterator[str]:
    if not folded.isascii() or not seen.isdisjoint(_WORD_HEADS):
        yield from (match[0] for match in _WORDS.finditer(folded))


def _phrases(folded: str, seen: Set[str]) -> Iterator[str]:
    likely = {name for head in seen & _BY_HEAD.keys() for name in _BY_HEAD[head]}
    yield from (name for name in likely if _SEARCHED[name].search(folded))


def _turned(folded: str) -> Iterator[str]:
    if _TURNED_STEMS.search(folded):
        for turn in _TURNS:
            yield from (f"turned {match[0]}" for match in _TURNED.finditer(turn(folded)))


_remembered = lru_cache(maxsize=2**14)(_signs)


@lru_cache(maxsize=1024)
def answered(ids: frozenset[str]) -> re.Pattern[str]:
    """What a folded unit looks like that answers one of these questions; ids of one word are words like any others."""
    names = "|".join(re.escape(fold(id_)) for id_ in sorted(ids) if "-" in id_) or "(?!)"
    return re.compile(rf"(?:{names})[\\\"'`*]{{0,4}}\s{{0,3}}[:=]")
