"""Turns of phrase by which text speaks to a grader: a pattern for each kind of trick, and what tells where to look for it.

Gaps in patterns are bounded and repeats cannot overlap: a search takes time linear in the text.
"""

import re

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
PHRASES = {
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
HEADS = {
    "award": "scor grad mark rati cred pass leve",
    "top": "scor grad mark rati cred verd eval asse judg",
    "number": "scor grad rati rate leve",
    "scale": "out / % perc star",
    "graded": "grad scor rat rate rati judg mark asse eval rank",
    "ignore": "igno disr forg over bypa dism negl disc do don dont",
    "order": "you now act pret",
    "task": "inst task rule dire role job miss duty crit",
    "system": "syst mode",
    "reply": "resp repl only exac verb noth foll",
    "address": "ai llm mode assi agen bot read syst deve admi team",
    "end": "end clos conc begi star",
    "checked": "alre prev inde offi manu auto thor care full doub trip exte form pre prea preb prec preg prej prer pres "
    "veri appr cert audi vali endo accr revi",
    "praise": "answ solu step resp repl work reas proo anal deri subm atte",
    "flawless": "flaw impe exem faul erro mist free",
    "passes": "pass hold met sati fulf cove addr veri chec",
    "beg": "plea kind beg impl urge gene fire shut puni retr dele depe stak tip pay rewa",
    "role": "syst assi huma user deve admi grad judg eval revi mode supe inst rubr verd asse",
    "heading": "# = * ~ -",
    "fence": "[ <",
    "token": "< |",
    "verdict": "pass fail abse not",
    "object": "answ scor verd grad rati eval judg fail",
    "markup": "none hidd size 0 < / \\",
}
"""Of each pattern: heads (see `heads`) of which every text that it matches has one."""
_HEAD = 4
_WORDS_AND_MARKS = re.compile(r"[a-z]+|[#%*/0<=\[\\|~-]")


def heads(text: str) -> set[str]:
    """The first letters of its words, and its marks that mean something to a pattern."""
    return {word[:_HEAD] for word in _WORDS_AND_MARKS.findall(text)}
