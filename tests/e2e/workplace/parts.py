"""What a user would bring: a tool, a reward function, and a plugin with two programs."""

import os
from itertools import count
from threading import Event

from scribe_core import hookimpl
from scribe_core.builders import program
from scribe_core.spans import span_calls, span_text
from scribe_core.types import Finding, Subgoal

LAST_REWARD = int(os.environ.get("LAST_REWARD", "0"))
REWARDS = count(1)


def spell(letter: str) -> str:
    """Spells a letter out."""
    return {"a": "ay", "b": "bee"}[letter]


def said(completion: str, word: str) -> float:
    """How much of the word stands in the answer; it never returns after the last reward, if there is one."""
    if LAST_REWARD and next(REWARDS) > LAST_REWARD:
        Event().wait()
    return sum(letter in completion for letter in word) / len(word)


def asked_the_tool(subgoal: Subgoal) -> Finding:
    """Whether the span calls the tool with a letter."""
    good = [call for call in span_calls(subgoal) if call.name == "spell" and "letter" in call.arguments]
    return Finding(answer="pass" if good else "fail")


def answered_plainly(subgoal: Subgoal) -> Finding:
    """Whether the span is a word and nothing else."""
    text = span_text(subgoal)
    return Finding(answer="pass" if text.isalpha() else "fail", evidence=(text,) if text else ())


@hookimpl
def scribe_programs():
    yield program(asked_the_tool)
    yield program(answered_plainly)
