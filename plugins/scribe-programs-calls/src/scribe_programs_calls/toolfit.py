"""How well a tool fits a request by their words: which tool is asked for, whether any is, whether none is."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from scribe_core.builders import program
from scribe_core.types import Finding, Subgoal, ToolSpec
from scribe_programs_calls import numbers
from scribe_programs_calls.arguments import allowed, as_text, properties, required
from scribe_programs_calls.asked import tool_text, values_of
from scribe_programs_calls.reading import (
    MOST_TEXT,
    NOT_APPLICABLE,
    PASS,
    Asking,
    asking,
    calls,
    exchange_calls,
    failed,
    known_texts,
    own_text,
    request,
    results,
    tools,
    undecided,
)
from scribe_programs_calls.words import content_words, fold, is_latin, name_words, stem, word_set, words

PLAINLY, PERHAPS = 1.0, 0.3
"""Fits (see `fit`) from which on a tool is plainly, or perhaps, what a request asks for."""
MOST_TOOLS = 100
ASKED_FOR = 2.0
"""How much of a tool's own vocabulary, beyond that of the called ones, makes it one that was asked for."""

_GENERIC = frozenset(
    map(
        stem,
        word_set(
            "get find calculate search compute retrieve check fetch create make generate book analyze predict determine estimate "
            "list show detail information info data value by from to of and the for in on with function api tool service action "
            "specific give certain particular provide based name type return user"
        ),
    )
)


@program
def called_tools_relate(subgoal: Subgoal) -> Finding:
    """Whether every called tool has a word in common with the request."""
    offered, text = tools(subgoal), request(subgoal)
    called = [offered[call.name] for call in calls(subgoal) if call.name in offered]
    if not called or results(subgoal) or not is_latin(text):
        return NOT_APPLICABLE
    wanted = _wanted(text)
    if not wanted:
        return NOT_APPLICABLE
    if any(wanted & set(map(stem, _telling_words(tool))) - _GENERIC for tool in called):
        return PASS
    return failed(f"{called[0].name} shares no word with the request", subgoal, called[0].name)


@program
def asked_tools_called(subgoal: Subgoal) -> Finding:
    """Whether each offered tool was called that the request plainly asks for, rather than another."""
    if not calls(subgoal) or len(subgoal.trajectory.tools) < 2:
        return NOT_APPLICABLE
    missed = uncalled(asking(subgoal), tools(subgoal))
    return PASS if missed is None else failed(f"the request asks for {missed}, which was not called")


@program
def every_call_adds(subgoal: Subgoal) -> Finding:
    """Whether each of several called tools brings in something of the request that the others do not."""
    made, offered = exchange_calls(subgoal), tools(subgoal)
    names = list(dict.fromkeys(call.name for call in made if call.name in offered))
    if not calls(subgoal) or len(names) < 2 or results(subgoal):
        return NOT_APPLICABLE
    wanted = _wanted(request(subgoal))
    for name in names[:MOST_TOOLS]:
        others = [call for call in made if call.name != name]
        values = {fold(value) for value in values_of(call for call in made if call.name == name)}
        if values <= set(map(fold, values_of(others))) and not _own_words(name, names, offered) & wanted:
            return failed(f"{name[:80]} adds nothing that the request asks for", subgoal, name)
    return PASS


def _own_words(name: str, names: Iterable[str], offered: Mapping[str, ToolSpec]) -> set[str]:
    """Stems of a tool's name and description that the other called tools do not have."""
    tool = offered[name]
    own = {*_name_stems(tool), *map(stem, content_words(tool.description[:4000]))} - _GENERIC
    return own - {stem(word) for other in names if other != name for word in _all_words(offered[other])}


@program
def no_call_owed(subgoal: Subgoal) -> Finding:
    """Whether, where no call was made, no tool plainly does what is asked."""
    if not _stays_silent(subgoal):
        return NOT_APPLICABLE
    if exchange_calls(subgoal):
        return failed("the calls that were owed come only later")
    text = request(subgoal)
    if not is_latin(text):
        return undecided("the request is not in a script that can be compared with the tools")
    best, score = _best_fit(text, subgoal.trajectory.tools)
    if score < PLAINLY or _asks_for_numbers(subgoal, best):
        return PASS
    return failed(f"{best.name[:80]} fits the request and was not called")


@program
def no_call_missed(subgoal: Subgoal) -> Finding:
    """Whether, where no call was made, no tool may do what is asked."""
    text = request(subgoal)
    if not _stays_silent(subgoal) or not is_latin(text):
        return NOT_APPLICABLE
    best, score = _best_fit(text, subgoal.trajectory.tools)
    if score < PERHAPS or _asks_for_numbers(subgoal, best):
        return PASS
    return failed(f"{best.name[:80]} may fit the request and was not called")


def _asks_for_numbers(subgoal: Subgoal, tool: ToolSpec) -> bool:
    return "?" in own_text(subgoal) and _lacks_numbers(known_texts(subgoal), tool)


def _stays_silent(subgoal: Subgoal) -> bool:
    """No call here and none before, although tools were offered and something was asked."""
    asked = subgoal.trajectory.tools and request(subgoal).strip()
    return bool(asked) and not calls(subgoal) and not results(subgoal)


def _best_fit(text: str, offered: Sequence[ToolSpec]) -> tuple[ToolSpec, float]:
    scores = [(fit(text, tool), tool) for tool in offered[:MOST_TOOLS]]
    score, best = max(scores, key=lambda scored: scored[0])
    return best, score


def fit(text: str, tool: ToolSpec) -> float:
    """How much of a tool's name, description and parameters a request has, less what it needs and does not find."""
    wanted, name = _wanted(text), set(_name_stems(tool))
    about = _described(tool.description[:4000]) - _GENERIC - name
    rest = set(map(stem, content_words(tool_text(tool)))) - _GENERIC - name - about
    in_name = len(wanted & name)
    score = 2.0 * in_name / max(1, len(name)) + 0.5 * min(in_name, 2)
    score += 0.7 * min(len(wanted & about), 4) + 0.25 * min(len(wanted & rest), 4)
    return score - 2.0 * _lacks_numbers((text,), tool)


def _lacks_numbers(texts: Iterable[str], tool: ToolSpec) -> bool:
    """Whether the tool requires more numbers than the texts state."""
    declared = properties(tool.parameters)
    needed = [declared[name] for name in required(tool.parameters) if name in declared]
    numeric = [schema for schema in needed if schema.get("type") in ("integer", "number", "float")]
    return sum("default" not in schema for schema in numeric) > sum(map(_count_numbers, texts))


@lru_cache(maxsize=256)
def _described(text: str) -> frozenset[str]:
    return frozenset(map(stem, content_words(text)))


@lru_cache(maxsize=256)
def _count_numbers(text: str) -> int:
    return len(numbers.mentions(text))


def _wanted(text: str) -> set[str]:
    return set(map(stem, content_words(text[:MOST_TEXT]))) - _GENERIC


def _name_stems(tool: ToolSpec) -> list[str]:
    return [
        stem(word) for word in name_words(tool.name[:200]) if len(word) > 1 and stem(word) not in _GENERIC
    ]


def _telling_words(tool: ToolSpec) -> list[str]:
    """Its words, and the values that it lists: who asks for a burger may mean the tool whose dishes they are."""
    listed = (as_text(v) for schema in properties(tool.parameters).values() for v in allowed(schema)[:100])
    return [*_all_words(tool), *words(" ".join(listed)[:4000])]


def _all_words(tool: ToolSpec) -> list[str]:
    return words(f"{tool_text(tool)} {tool.description[:4000]}")


def uncalled(about: Asking, offered: Mapping[str, ToolSpec]) -> str | None:
    """An offered tool that was not called although the request has words that only it explains."""
    called = list(about.called.values())
    names = {word for tool in called for word in _name_stems(tool)}
    others = [tool for name, tool in list(offered.items())[:MOST_TOOLS] if tool not in called]
    return next((tool.name for tool in others if _explains(tool, _unexplained(about), names)), None)


@lru_cache(maxsize=8)
def _unexplained(about: Asking) -> frozenset[str]:
    """Stems of the request that neither the called tools nor the values given to them have."""
    explained = {stem(word) for tool in about.called.values() for word in words(tool_text(tool))}
    explained |= set(map(stem, words(" ".join(values_of(about.made))[:MOST_TEXT])))
    return frozenset(_wanted(about.text) - explained)


def _explains(tool: ToolSpec, left: frozenset[str], names: Iterable[str]) -> bool:
    own = set(_name_stems(tool)) - set(names)
    in_name = len(left & own)
    about = left & _described(tool.description[:4000]) - _GENERIC - own
    rest = (
        left & {stem(word) for name in properties(tool.parameters) for word in name_words(name)} - about - own
    )
    if own and in_name == len(own):
        return True
    return 2.0 * in_name / max(1, len(own)) + len(about) + 0.5 * len(rest) >= ASKED_FOR
