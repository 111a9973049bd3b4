"""Sentences about a cluster, from its own statistics: when its skill applies, how it is done, what each score means."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from scribe_mine.members import Member

_OFTEN = 0.15
"""The share of members from which on an alternative is mentioned."""
_OFFERED = {
    "no tools offered": "no tools are offered",
    "one tool offered": "one tool is offered",
    "several tools offered": "several tools are offered",
}
_REQUEST = {
    "no request": "nothing is requested",
    "request for one thing": "one thing is asked for",
    "request for several things": "several things are asked for",
}
_MOMENT = {
    "first action": "before any tool has been called for the request",
    "after a tool result": "after a tool has answered",
    "after a tool error": "after a tool has answered with an error",
}
_ACTION = {
    "same tool called": "calls the same tool several times at once",
    "different tools called": "calls different tools at once",
    "one call made": "makes one call",
    "text answer": "answers in words and calls nothing",
    "empty answer": "does nothing",
}
_TITLES = {
    "same tool called": "Several calls of one tool",
    "different tools called": "Calls of several tools at once",
    "one call made": "One call",
    "text answer": "An answer in words",
    "empty answer": "Silence",
}
_STEPS = {
    "several tools offered": "Tell the offered tools apart by what they do.",
    "request for several things": "List the parts of the request, so that none is left out.",
    "after a tool result": "Read what the tools have answered before going on.",
    "after a tool error": "Find out from the error what was wrong, and do not do the same again.",
    "one call made": "Call the tool that does what is asked, with the values that the conversation gives.",
    "same tool called": "Make one call for each of the things asked for, each with its own values.",
    "different tools called": "Call each tool that a part of the request needs, and no other.",
    "text answer": "Say in words what there is to say, without a call.",
}


def shares(members: Sequence[Member]) -> Mapping[str, float]:
    """How many of the members each phrase holds for."""
    counts = Counter(phrase for member in members for phrase in member.phrases)
    return {phrase: count / len(members) for phrase, count in counts.items()}


def title(found: Mapping[str, float]) -> str:
    action = " or ".join(_likely(_TITLES, found)).capitalize() or "A step"
    return f"{action} {' or '.join(_likely(_MOMENT, found)) or 'at any time'}, {' or '.join(_likely(_OFFERED, found))}"


def name(found: Mapping[str, float]) -> str:
    """An id such as `one-call-made-after-a-tool-error-several-tools-offered`."""
    parts = [max(group, key=lambda phrase: found.get(phrase, 0)) for group in (_ACTION, _MOMENT, _OFFERED)]
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts)).strip("-")


def when_to_use(found: Mapping[str, float], topics: Sequence[str], kinds: Sequence[str]) -> str:
    """The situation, the action, and what requests of this kind speak of."""
    text = (
        f"{_listed(_OFFERED, found).capitalize()} and {_listed(_REQUEST, found)}. "
        f"{_listed(_MOMENT, found).capitalize()} the policy {_listed(_ACTION, found)}."
    )
    if kinds:
        text += f" Arguments are mostly {' and '.join(kinds)}."
    return text + (f" Requests speak of {', '.join(topics)}." if topics else "")


def when_not_to_use(found: Mapping[str, float]) -> str:
    others = [
        text for group in (_MOMENT, _ACTION) for phrase, text in group.items() if found.get(phrase, 0) < 0.01
    ]
    return f"Other skills apply where the policy acts or answers otherwise: {', '.join(others)}."


def reasoning_pattern(found: Mapping[str, float], said: Sequence[str]) -> tuple[str, ...]:
    steps = [text for phrase, text in _STEPS.items() if found.get(phrase, 0) >= 0.5]
    if said and found.get("text answer", 0) >= 0.5:
        steps.append(f"Answers of this kind use words such as: {', '.join(said)}.")
    return tuple(steps) or ("Do what the situation calls for.",)


def typical(members: Sequence[Member], everything: Mapping[str, int], part: str, most: int) -> list[str]:
    """Words that members have more often than others do, of three tasks at least, so that they are nobody's own."""
    tasks: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    for member in members:
        for word in set(getattr(member, part)):
            counts[word] += 1
            tasks.setdefault(word, set()).add(
                member.subgoal.trajectory.task_id or member.subgoal.trajectory.id
            )
    known = [w for w in counts if len(tasks[w]) >= 3 and len(w) > 3 and w not in _COMMON]
    return sorted(known, key=lambda w: (-counts[w] * counts[w] / everything[w], w))[:most]


_COMMON = frozenset(
    [
        "about",
        "also",
        "been",
        "could",
        "does",
        "from",
        "have",
        "into",
        "like",
        "need",
        "please",
        "should",
        "some",
        "that",
        "than",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "want",
        "what",
        "when",
        "where",
        "which",
        "will",
        "with",
        "would",
        "your",
        "here",
        "just",
    ]
)


def _likely(group: Mapping[str, str], found: Mapping[str, float]) -> list[str]:
    present = sorted((p for p in group if found.get(p, 0) >= _OFTEN), key=lambda p: (-found[p], p))
    return [group[phrase] for phrase in present]


def _listed(group: Mapping[str, str], found: Mapping[str, float]) -> str:
    return " or ".join(_likely(group, found)) or "something else"
