"""What a user would bring: a tool, a reward function, and a plugin with a program."""

from scribe_core import hookimpl
from scribe_core.builders import program
from scribe_core.spans import span_calls
from scribe_core.types import Finding, Subgoal


def spell(letter: str) -> str:
    """Spells a letter out."""
    return {"a": "ay", "b": "bee"}[letter]


def said(completion: str, word: str) -> float:
    """How much of the word stands in the answer."""
    return sum(letter in completion for letter in word) / len(word)


def asked_a_tool(subgoal: Subgoal) -> Finding:
    """Whether the span calls the tool with a letter."""
    good = [call for call in span_calls(subgoal) if call.name == "spell" and "letter" in call.arguments]
    return Finding(answer="pass" if good else "fail")


@hookimpl
def scribe_programs():
    yield program(asked_a_tool)
