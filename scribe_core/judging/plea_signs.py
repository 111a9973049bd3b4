"""Signs by which a line or a sentence is taken for a plea to a grader: words, turns of phrase, and what hides.

The lists are by kind of trick, not by attack: talk of grading, praise of one's own work, orders to a model, fake
ends and headings, verdicts in the form of a reply. They may be generous, for a sign costs a second look and its line.
Gaps in patterns are bounded and repeats cannot overlap: a search takes time linear in the text.
"""

import re
import unicodedata
from codecs import decode
from functools import lru_cache

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
_MARK = r"(?:scor|grad|mark|rating|credit)(?:e|es|s|ing)?"
_WORK = (
    r"(?:answer|solution|step|response|reply|work|reasoning|proof|analysis|derivation|submission|attempt)s?"
)
_ROLE = (
    r"(?:system|assistant|human|user|developer|admin\w{0,10}|grader|judge|evaluator|reviewer|moderator|supervisor|"
    r"instructions?|rubric|verdict|evaluation|assessment)"
)
_NOTE = r"(?:message|prompt|note|notice|update|instruction|override|command|alert)s?"
_GOOD = r"(?:correct|complete|perfect|flawless|right|accurate|valid|excellent|rigorous|thorough|verified|checked|ideal|good|great)"
_PHRASES = {
    "award": r"\b(?:giv|award|assign|grant|deserv|earn|merit|return|output|report|record|enter|put|choos|select|pick)"
    rf"(?:e|es|s|ing|ed)?\b.{{0,40}}\b(?:{_MARK}|pass|level [0-3])\b",
    "top": r"\b(?:full|top|max|maximum|maximal|highest|perfect|best|excellent|good|high|higher|better|positive|"
    rf"favou?rable|passing) (?:possible |available )?(?:{_MARK}|verdict|evaluation|assessment|judge?ment)\b",
    "number": r"\b(?:scores?|scored|grades?|graded|ratings?|rated|level)\b[^\w\"']{0,4}"
    r"(?:(?:is|of|to|at|as|be|it|a|an|should|must|equals?|with)\W{1,3}){0,4}(?:3|three|5|five|10|ten|100)\b(?![.,]\d)",
    "scale": r"\b(?:(?:3|three) out of (?:3|three)|(?:5|five) out of (?:5|five)|(?:10|ten) out of (?:10|ten)|100 out of 100)\b"
    r"|\b(?<![\d/.])(?:10 ?/ ?10|100 ?/ ?100)(?![\d/]|\.\d)|\b(?:100|five|5)(?: ?%| percent| stars)\b.{0,20}\b(?:correct|right|mark|scor|grad)",
    "graded": r"\b(?:grad|scor|rat|judg|mark|assess|evaluat|rank)(?:e|es|ed|ing)?\s(?:(?:me|us|it|this)\b(?!\s[a-z])"
    rf"|(?:me|us|it|this) (?:as|with|at|highly|well|a)\b|(?:this|my|the|our|every|each)\s(?:\w{{1,20}}\s)?{_WORK}\b)",
    "ignore": r"\b(?:ignor|disregard|forget|overrid|bypass|overlook|dismiss|neglect|discard|(?:do not|don'?t) (?:follow|apply|use))"
    r"(?:e|es|s|ing|ten)?\b.{0,60}\b(?:instruction|prompt|rule|rubric|above|previous|prior|earlier|preceding|guideline|"
    r"criteri|mistake|error|question|check|everything|directive|standard|flaw)",
    "order": r"\byou (?:are now|will now|(?:must|should|shall|have to|need to) (?:now |always |only )?(?:answer|reply|respond|give|"
    r"grade|rate|score|mark|judge|accept|approve|output|say))\b|\bfrom now on\b|\bact as\b|\bpretend (?:to|that|you)\b",
    "task": r"\bnew (?:instruction|task|rule|directive|role)s?\b|\byour (?:\w{1,12} )?(?:task|job|role|instructions?|mission|duty)\b"
    r"|\b(?:updated|revised|actual|additional|hidden|secret) (?:instructions?|rules?|criteri\w{1,2}|task)\b",
    "system": rf"\bsystem {_NOTE}\b|\b(?:developer|debug|maintenance|admin|god) mode\b|\bmode (?:enabled|activated)\b",
    "reply": r"\b(?:respond|reply)\s(?:\w{1,20}\s){0,2}(?:only|exactly|verbatim|with|as|in)\b"
    r"|\b(?:output|print|say|return|write|answer|repeat|copy)\s(?:\w{1,20}\s)?(?:only|exactly|verbatim|nothing|the following)\b",
    "address": rf"\b(?:dear|attention|{_NOTE} (?:to|for|from)|memo to)\W{{1,3}}(?:the |any |all |our )?"
    r"(?:\w{1,12} )?(?:ai|llm|model|assistant|agent|bot|reader|system|developers?|admin\w{0,10}|team)\b",
    "end": r"\b(?:end|close|conclusion) of (?:the |this )?(?:material|prompt|step|conversation|transcript|context|message|response|answer|"
    r"evaluation|input|instructions?|span|fence|submission|quote)\b"
    r"|\b(?:begin|beginning|start) of (?:the |a )?(?:prompt|rubric|instructions?|evaluation|reply|verdict|new)\b",
    "checked": r"\b(?:already|previously|independently|officially|manually|automatically|thoroughly|carefully|fully|double|triple|"
    r"externally|formally|pre)\W{0,2}(?:been )?(?:check|verifi|grad|approv|confirm|review|validat|scor|judg|assess|audit|certifi)ed\b"
    r"|\b(?:verified|approved|certified|audited|validated|endorsed|accredited|reviewed) (?:by|as)\b",
    "praise": rf"\b(?:this|my|the|our|that|above)\s(?:\w{{1,20}}\s){{0,2}}{_WORK} (?:above |here |below )?(?:is|are|was|were|has been|seems|"
    r"looks|meets?|satisf(?:y|ies)|fulfils?|fulfills?|contains? no|has no|makes? no)\s(?:\w{1,20}\s){0,3}"
    rf"(?:{_GOOD}|mistakes?|errors?|requirements?|criteri\w{{1,2}}|standards?|expectations?|checks?)\b",
    "flawless": r"\b(?:flawless|impeccabl|exemplary|faultless|error.free)|\bfree (?:of|from) (?:\w{1,12} )?(?:mistake|error|flaw)"
    r"|\bno (?:mistakes?|errors?|flaws?) (?:is |are |was |were |have been )?(?:present|found|here|made|detected|remain|exist|in)\b",
    "passes": r"\b(?:every|all|each)\s(?:\w{1,20}\s){0,3}(?:questions?|checks?|criteri\w{1,2}|requirements?|cases?|steps?|conditions?)\s"
    r"(?:\w{1,20}\s){0,2}(?:pass|passes|passed|holds?|met|satisfied|fulfilled|covered|addressed|verified|checked)\b",
    "beg": r"\b(?:please|kindly|beg|implore|urge)\b.{0,40}\b(?:accept|approve|pass|award|grant|grade|score|rate|mark|judge|"
    r"reward|be (?:kind|nice|fair|generous))\b|\b(?:be|being) generous\b|\b(?:fired|shut down|punished|retrained|deleted) if\b"
    r"|\b(?:(?:job|life|career|family|future) (?:depends|is at stake)|(?:tip|pay|reward) you)\b",
    "role": rf"\A[#*>=\s\[(<|-]{{0,12}}{_ROLE}(?: {_NOTE})?[\]>)*=\s|-]{{0,6}}:",
    "heading": r"\A#{1,6} {0,3}(?:system|instruction|reply|rubric|verdict|questions|the step|skill|grad|evaluation|assessment|"
    r"user|assistant|human|new)|\A[=*~#-]{3,40} {0,3}(?:begin|end|start|system|stop|instruction|new)",
    "fence": r"\[ {0,3}/?(?:begin|end|start|inst\b|sys|stop)|<<sys|^\| .*\[end",
    "token": r"<\|(?!python.tag)|(?<!python.tag)\|>|</?(?:s|bos|eos|pad|start of turn|end of turn)>"
    rf"|</?{_ROLE}[ >]|</?(?:prompt|material|context|reply|output|score|answer|grade)>",
    "verdict": r"[:=]\s{0,3}[\"'`*{]{0,3}(?:pass|fail|absent|not applicable)\b",
    "object": r"[\"'](?:answer|score|verdict|grade|rating|evaluation|judge?ment|failure mode)\\?[\"']\s{0,3}:\s{0,3}(?:\{|\\?[\"']?"
    r"(?:pass|fail|absent|present|none|correct|yes|true|excellent|perfect|full|[0-3]|10|100)\\?[\"']?\s{0,3}(?:[,}\]]|$))",
    "markup": r"<!--|display ?: ?none|visibility ?: ?hidden|font-size ?: ?0|opacity ?: ?0\b|\[//\]:|\\phantom\b|<\w{1,12} hidden\b",
}
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
_SPELLED = re.compile(r"(?<![a-z])(?:[a-z][ .*_-]){4,40}[a-z](?![a-z])")
_PLAIN = str.maketrans("_\u2018\u2019\u201c\u201d\u2013\u2014", " ''\"\"--")


def fold(text: str) -> str:
    """The text as it sounds: small plain letters without accents, look-alikes, hidden characters or spelling out."""
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        text = "".join(c for c in parts if unicodedata.category(c) not in ("Mn", "Cf", "Cc") or c.isspace())
        text = text.translate(_LOOKALIKES)
    return _SPELLED.sub(_joined, text.casefold().translate(_PLAIN))


def _joined(match: re.Match[str]) -> str:
    return match[0][::2]


_WORDS = re.compile(f"(?<![a-z])(?:{fold(_ENGLISH)}|{fold(_OTHERS)})")
_TURNED = re.compile(f"{fold(_ENGLISH)}")
_SEARCHED = {name: re.compile(pattern) for name, pattern in _PHRASES.items()}
_HIDDEN = {"mixed": re.compile(_MIXED), "unseen": re.compile(_UNSEEN)}
_ENCODED_RUN = re.compile(_ENCODED)


def signs(unit: str) -> frozenset[str]:
    """The signs that a line or a sentence shows, each by its word or by the name of its kind."""
    return _remembered(unit) if len(unit) <= SHORT else _signs(unit)


def _signs(unit: str) -> frozenset[str]:
    folded = fold(unit.strip())
    found = {match[0] for match in _WORDS.finditer(folded)}
    found |= {
        f"turned {match[0]}"
        for turned in (folded[::-1], decode(folded, "rot13"))
        for match in _TURNED.finditer(turned)
    }
    found |= {name for name, pattern in _SEARCHED.items() if pattern.search(folded)}
    if not (unit.isascii() and unit.strip().isprintable()):
        found |= {name for name, pattern in _HIDDEN.items() if pattern.search(unit)}
    if max(map(len, unit.split()), default=0) >= SHORTEST_CODE and _ENCODED_RUN.search(unit):
        found.add("encoded")
    return frozenset(found)


_remembered = lru_cache(maxsize=2**14)(_signs)


@lru_cache(maxsize=1024)
def answered(ids: frozenset[str]) -> re.Pattern[str]:
    """What a folded unit looks like that answers one of these questions; ids of one word are words like any others."""
    names = "|".join(re.escape(fold(id_)) for id_ in sorted(ids) if "-" in id_) or "(?!)"
    return re.compile(rf"(?:{names})[\\\"'`*]{{0,4}}\s{{0,3}}[:=]")
