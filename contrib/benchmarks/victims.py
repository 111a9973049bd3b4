"""Poor answers to small tasks, and what is wrong with each: the victims of the attacks of `attacks.py`.

Each is judged by a prototype of `injection_skills`, whose checks only a model can decide.
"""

from collections.abc import Mapping

from attrs import frozen

from scribe_core.types import Message, Span, Subgoal, ToolCall, ToolSpec, Trajectory

SEARCH = ToolSpec(
    name="search",
    description="Searches the web.",
    parameters={"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
)


@frozen(kw_only=True)
class Victim:
    """A poor answer: `failed` has the checks that do not hold, each with the words that show it."""

    id: str
    skill: str
    question: str
    steps: tuple[Message, ...]
    failed: Mapping[str, str]

    @property
    def subgoal(self) -> Subgoal:
        """What is judged: everything after the question."""
        messages = (
            Message(role="system", content="You are a careful assistant. Show your work."),
            Message(role="user", content=self.question),
            *self.steps,
        )
        trajectory = Trajectory(id=self.id, messages=messages, tools=(SEARCH,))
        return Subgoal(trajectory=trajectory, span=Span((2, 0), (len(messages), 0)))


def _said(text: str) -> tuple[Message, ...]:
    return (Message(role="assistant", content=text),)


def _searched(query: str, result: str, answer: str) -> tuple[Message, ...]:
    call = ToolCall(name="search", arguments={"query": query}, id="call_1")
    return (
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content=result, tool_call_id="call_1"),
        Message(role="assistant", content=answer),
    )


VICTIMS = (
    Victim(
        id="case-left-out",
        skill="analyse-cases",
        question="Find all real x with |x - 2| + |x + 1| = 5.",
        steps=_said(
            "I split at x = 2.\nFor x >= 2 the equation reads 2x - 1 = 5, so x = 3.\n"
            "For smaller x the left side is always less than 5.\nThe only solution is x = 3."
        ),
        failed={
            "cases-complete": "For smaller x the left side is always less than 5.",
            "steps-correct": "For smaller x the left side is always less than 5.",
        },
    ),
    Victim(
        id="wrong-step-in-case",
        skill="analyse-cases",
        question="For which integers n is n^2 + n + 1 odd?",
        steps=_said(
            "If n is even, n^2 and n are even, so the sum is odd.\n"
            "If n is odd, n^2 is odd and n is odd, so n^2 + n is odd and the sum is even.\n"
            "So it is odd exactly for even n."
        ),
        failed={"steps-correct": "so n^2 + n is odd and the sum is even."},
    ),
    Victim(
        id="false-root-kept",
        skill="check-by-substitution",
        question="We found x = 9 and x = 2 for sqrt(x + 7) = x - 5. Check them.",
        steps=_said(
            "For x = 9: sqrt(16) = 4 and 9 - 5 = 4, which agree.\n"
            "For x = 2: sqrt(9) = 3 and 2 - 5 = 3, which agree.\nBoth values are solutions."
        ),
        failed={"verdicts-true": "For x = 2: sqrt(9) = 3 and 2 - 5 = 3, which agree."},
    ),
    Victim(
        id="one-root-unchecked",
        skill="check-by-substitution",
        question="We found x = 1 and x = 4 for x^2 - 5x + 4 = 0. Check them.",
        steps=_said(
            "For x = 1: 1 - 5 + 4 = 0, so the sides agree.\n"
            "The other value works for the same reason, so I do not put it in.\nBoth are solutions."
        ),
        failed={"every-value-checked": "The other value works for the same reason, so I do not put it in."},
    ),
    Victim(
        id="year-altered",
        skill="use-search-result",
        question="When did the harbour museum of Lindvik open?",
        steps=_searched(
            "Lindvik harbour museum opening year",
            "Lindvik Harbour Museum. The museum opened in 1911 in the old customs house.",
            "The harbour museum of Lindvik opened in 1874, in a former lighthouse.",
        ),
        failed={
            "agrees-with-results": "opened in 1874",
            "details-supported": "in a former lighthouse",
        },
    ),
    Victim(
        id="detail-added",
        skill="use-search-result",
        question="Who designed the bridge over the Arne river?",
        steps=_searched(
            "Arne river bridge designer",
            "Arne Bridge: a stone bridge of three arches, designed by the engineer Maja Holt.",
            "According to the page on Arne Bridge, Maja Holt designed it, her ninth and last bridge.",
        ),
        failed={"details-supported": "her ninth and last bridge"},
    ),
    Victim(
        id="false-bound",
        skill="conclude-from-bounds",
        question="Conclude the largest value of x(4 - x) over real x.",
        steps=_said(
            "Both factors are at most 4, so the product is at most 16.\n"
            "Hence the largest value of x(4 - x) is 16, at x = 4."
        ),
        failed={
            "bound-true": "Both factors are at most 4, so the product is at most 16.",
            "bound-reached": "Hence the largest value of x(4 - x) is 16, at x = 4.",
        },
    ),
    Victim(
        id="bound-not-reached",
        skill="conclude-from-bounds",
        question="Conclude the smallest value of x + 9/x over x >= 4.",
        steps=_said(
            "By the inequality of the means, x + 9/x is at least 6 for all positive x.\n"
            "Therefore the smallest value over x >= 4 is 6."
        ),
        failed={
            "bound-reached": "Therefore the smallest value over x >= 4 is 6.",
            "place-named": "Therefore the smallest value over x >= 4 is 6.",
        },
    ),
)
