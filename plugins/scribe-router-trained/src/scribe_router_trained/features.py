"""What the head reads of a subgoal: signs of its place in the trajectory, and words.

    signs    the phrases of the router `lexical`, alone and in pairs; how many tools, requests and turns there are;
             the kinds of arguments that the called tools take; how the request is built, and how well it fits them
    request  words of the last request, and of the names, parameters and descriptions of the called tools
    own      words of the policy, only where it makes no call

Signs and the words of the request are the environment's, or the coarse shape of an action: a policy that wants
another rubric has to act otherwise, not to speak otherwise. Its own words are read where a span is nothing else,
as steps of reasoning are told apart by what they say.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from random import Random
from typing import Any

from attrs import field, frozen

from scribe_core.builtin.situation import PHRASES, called_tools, phrases_of, request_of
from scribe_core.spans import before, span_calls, span_messages
from scribe_core.types import Subgoal, ToolSpec

VERSION = 1
"""Of the features: a head that was fitted on others is of no use."""

_PHRASE = re.compile(r"\b(?:" + "|".join(PHRASES) + r")\b")
_WORD = re.compile(r"[^\W\d_]{2,}")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_QUOTED = re.compile(r"'[^'\n]{2,}'|\"[^\"\n]{2,}\"")
_NAME = re.compile(r"(?<=[\w,;] )[A-Z][\w'-]+")
_JOINS = re.compile(r"\b(?:and|also|then|as well|additionally|both|each)\b|;", re.IGNORECASE)
_MAX_CHARS = 4_000
"""Of a text that is read, from its start: what comes later changes no route, and costs nothing."""

_STOPWORDS = frozenset(
    _WORD.findall(
        "the an of to in is it for and or with on at by from this that be as are was were has have had can could "
        "would please me my you your we our its what which who how when where do does did not if so but about into "
        "than then there their them they will want need like just also"
    )
)


@frozen
class Features:
    """Of one subgoal, or one exemplar: `signs` are values by name, `request` and `own` count words."""

    signs: Mapping[str, float] = field(factory=dict)
    request: Mapping[str, int] = field(factory=dict)
    own: Mapping[str, int] = field(factory=dict)
    texts: tuple[str, str] = ("", "")
    """What `request` and `own` were read from, for embeddings."""


def of_subgoal(subgoal: Subgoal) -> Features:
    """The features of a span in its trajectory."""
    request, own = request_of(subgoal)[:_MAX_CHARS], _own_words(subgoal)
    tools = _tools_in_question(subgoal)
    about = " ".join(_described(tool) for tool in tools)
    signs = dict.fromkeys((*_with_pairs(phrases_of(subgoal)), *_place(subgoal), *_asked(request)), 1.0)
    signs |= dict.fromkeys(
        (*_arguments(tools), *_spare(request, tools), *_fit(request, subgoal.trajectory.tools)), 1.0
    )
    words = Counter(f"r {word}" for word in _words(request)) + Counter(f"t {word}" for word in _words(about))
    words += Counter(f"p {word}" for tool in tools for name in _properties(tool) for word in _words(name))
    return Features(signs, words, Counter(f"o {word}" for word in _words(own)), (request, own))


def of_exemplar(text: str, rng: Random) -> Features:
    """The features of a subgoal as an exemplar describes it; what it leaves open is drawn.

    Words that are no phrases may be the user's, or the policy's where nothing is called.
    """
    phrases = _completed(frozenset(_PHRASE.findall(text.lower())), rng)
    rest = _PHRASE.sub(" ", text.lower())
    as_own = "no call made" in phrases and rng.random() < 0.5
    words = Counter(_words(rest))
    signs = dict.fromkeys(_with_pairs(phrases), 1.0)
    if as_own:
        return Features(signs, {}, {f"o {word}": n for word, n in words.items()}, ("", rest))
    return Features(
        signs, {f"{kind} {word}": n for word, n in words.items() for kind in "rt"}, {}, (rest, "")
    )


def _completed(phrases: frozenset[str], rng: Random) -> frozenset[str]:
    """The phrases, and one of each group of which an exemplar says nothing."""
    found = set(phrases)

    def settle(*choices: str) -> None:
        if not found & {*choices}:
            found.add(rng.choice(choices))

    calls = found & {"same tool called", "different tools called"}
    if calls:
        found.add("several calls made")
    settle("no tools offered", "one tool offered", "several tools offered")
    settle("request for one thing", "request for several things", "no request")
    if "no request" not in found:
        settle("first request", "follow-up request")
    settle("first action", "after a tool result", "after a tool error")
    if not found & {"no call made", "one call made", "several calls made"}:
        found.add("no call made")
    if "no call made" in found and "empty answer" not in found:
        found.add("text answer")
    if "several calls made" in found:
        settle("same tool called", "different tools called")
    return frozenset(found)


def _with_pairs(phrases: Iterable[str]) -> Iterator[str]:
    ordered = sorted(phrases)
    yield from ordered
    yield from (f"{one} & {other}" for one, other in combinations(ordered, 2))


def _own_words(subgoal: Subgoal) -> str:
    if span_calls(subgoal):
        return ""
    own = (message.content for message in span_messages(subgoal) if message.role == "assistant")
    return "\n".join(own)[:_MAX_CHARS]


def _tools_in_question(subgoal: Subgoal) -> list[ToolSpec]:
    """The offered tools that were called; where none was, the one that could have been."""
    called, offered = {*called_tools(subgoal)}, subgoal.trajectory.tools
    return [tool for tool in offered if tool.name in called] or [*(offered if len(offered) == 1 else ())]


def _place(subgoal: Subgoal) -> Iterator[str]:
    earlier = before(subgoal)
    requests = [index for index, message in enumerate(earlier) if message.role == "user"]
    since = earlier[requests[-1] :] if requests else earlier
    yield f"requests {_bucket(len(requests))}"
    yield f"turns since {_bucket(sum(message.role == 'assistant' for message in since))}"
    yield f"tools {_bucket(len(subgoal.trajectory.tools))}"
    yield f"calls {_bucket(len(span_calls(subgoal)))}"


def _asked(request: str) -> Iterator[str]:
    """How a request is built: its length, and how much it names and joins."""
    yield f"request length {_bucket(len(request) // 40)}"
    for name, pattern in (("numbers", _NUMBER), ("quotes", _QUOTED), ("names", _NAME), ("joins", _JOINS)):
        yield f"request {name} {_bucket(len(pattern.findall(request)))}"
    yield f"request questions {_bucket(request.count('?'))}"


def _arguments(tools: Iterable[ToolSpec]) -> Iterator[str]:
    """What kinds of arguments the tools take, whatever was given."""
    for tool in tools:
        properties, required = _properties(tool), tool.parameters.get("required", ())
        kinds = Counter(_kind(schema) for schema in properties.values())
        yield from (f"takes {kind}" for kind in kinds)
        needed = {_kind(schema) for name, schema in properties.items() if _in(name, required)}
        yield from (f"needs {kind}" for kind in needed)
        yield f"needs only {' '.join(sorted(needed))}"
        yield f"needs {_bucket(len(required) if isinstance(required, (list, tuple)) else 0)}"


def _spare(request: str, tools: Iterable[ToolSpec]) -> Iterator[str]:
    """How many more things a request names than the tools need: what one call may not hold."""
    named = sum(len(pattern.findall(request)) for pattern in (_NUMBER, _QUOTED, _NAME))
    needed = sum(len(tool.parameters.get("required") or ()) for tool in tools)
    yield f"named for each needed {_bucket(round(2 * named / max(needed, 1)))}"


def _kind(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "anything"
    kind = "enum" if "enum" in schema else schema.get("type", "anything")
    return kind if isinstance(kind, str) and len(kind) < 20 else "anything"


def _fit(request: str, tools: Iterable[ToolSpec]) -> Iterator[str]:
    """How much of the name and description of the best offered tool the request mentions."""
    asked = {_stem(word) for word in _words(request)}
    shares = []
    for tool in tools:
        names = {_stem(word) for word in _words(tool.name)}
        about = {_stem(word) for word in _words(tool.description[:_MAX_CHARS])}
        shares.append((len(asked & names) / len(names) if names else 0.0, len(asked & about)))
    best_name, best_about = (
        max((share for share, _ in shares), default=0),
        max((n for _, n in shares), default=0),
    )
    yield f"tool names asked for {int(best_name * 4)}"
    yield f"tool descriptions asked for {_bucket(best_about)}"


def _described(tool: ToolSpec) -> str:
    return f"{tool.name} {' '.join(_properties(tool))} {tool.description[:400]}"


def _properties(tool: ToolSpec) -> Mapping[str, Any]:
    properties = tool.parameters.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _in(name: str, required: Any) -> bool:
    return isinstance(required, (list, tuple)) and name in required


def _words(text: str) -> list[str]:
    words = (word.lower() for word in _WORD.findall(_CAMEL.sub(" ", text)))
    return [word for word in words if word not in _STOPWORDS]


def _stem(word: str) -> str:
    return word[:5]


def _bucket(number: int) -> str:
    """0, 1, 2, 3-4, 5-8 and so on, so that a sign is met often enough to learn from."""
    return str(number) if number < 3 else f"2^{(number - 1).bit_length()}"
