import jsonschema
import pytest

from scribe_core.judging import prompts
from scribe_core.judging.prompts import checklist_questions, render
from scribe_core.judging.templates import CHARACTERS_PER_TOKEN
from scribe_core.testing import awkward_trajectories, sample_prototype, sample_subgoal, sample_trajectory
from scribe_core.types import Message, Span, ToolSpec

PROTOTYPE = sample_prototype()
QUESTIONS = {
    "checklist": checklist_questions(PROTOTYPE.checks, PROTOTYPE.failure_modes),
    "holistic": prompts.holistic_questions(PROTOTYPE),
    "direct": prompts.DIRECT_QUESTIONS,
}


def prompt(mode="checklist", subgoal=None, budget=8000):
    return render(mode, PROTOTYPE, subgoal or sample_subgoal(), QUESTIONS[mode], budget)


@pytest.mark.parametrize("mode", QUESTIONS)
def test_spans_of_one_prototype_share_a_prefix(mode):
    one = prompt(mode, sample_subgoal(span=Span((2, 0), (3, 0))))
    other = prompt(mode, sample_subgoal(span=Span((4, 0), (5, 0))))
    shared = one.user[: one.user.index("# The conversation before the step")]
    assert other.user.startswith(shared)
    assert all(question.id in shared for question in QUESTIONS[mode])
    assert one.system.replace(one.fence, "") == other.system.replace(other.fence, "")


def test_the_mark_is_random_and_no_part_of_the_identity():
    one, other = prompt(), prompt()
    assert one.fence != other.fence
    assert one.user != other.user
    assert one.identity == other.identity
    assert one.fence not in str(one.identity)


def test_the_reason_comes_before_the_answer():
    for entry in prompt().schema["properties"].values():
        assert next(iter(entry["properties"])) == "reason"
        assert list(entry["properties"])[-1] == "answer"
    jsonschema.Draft202012Validator.check_schema(prompt().schema)


@pytest.mark.parametrize("mode", QUESTIONS)
def test_templates_have_a_name_a_version_and_a_hash(mode):
    name, version, hashed = prompts.template_id(mode).split("-")
    assert (name, version, len(hashed)) == (mode, "2", 12)


@pytest.mark.parametrize("budget", [2000, 4000, 8000])
def test_a_prompt_stays_inside_its_budget(budget):
    talk = [Message(role="user" if i % 2 else "assistant", content=f"{i} " * 500) for i in range(200)]
    result = Message(role="tool", content="r" * 50_000)
    trajectory = sample_trajectory(
        messages=(*talk, Message(role="assistant", content="The end."), result),
        tools=tuple(ToolSpec(name=f"tool_{i}", description="d" * 500) for i in range(50)),
    )
    made = prompt(subgoal=sample_subgoal(trajectory, span=Span((200, 0), (202, 0))), budget=budget)
    assert len(made.system) + len(made.user) <= budget * CHARACTERS_PER_TOKEN
    assert "The end." in made.user
    assert "characters left out" in made.user


def test_what_the_policy_wrote_is_never_cut():
    trajectory = sample_trajectory(messages=(Message(role="assistant", content="word " * 2000),))
    assert "word " * 2000 in prompt(subgoal=sample_subgoal(trajectory)).user.replace("\n| ", "\n")
    assert prompt(subgoal=sample_subgoal(trajectory), budget=2000) is None


@pytest.mark.parametrize("trajectory", awkward_trajectories(), ids=lambda t: t.id)
@pytest.mark.parametrize("mode", QUESTIONS)
def test_whatever_was_written_stays_behind_the_gutter(mode, trajectory):
    made = prompt(mode, sample_subgoal(trajectory), budget=30_000)
    if made is None:
        return
    _, _, material = made.user.partition("# The conversation before the step\n")
    outside = [line for line in material.splitlines() if not line.startswith("| ")]
    mark = made.fence
    fence = [f"[begin {mark}]", f"[end {mark}]"]
    assert outside == [
        *fence,
        "",
        "# The step",
        *fence,
        "",
        "Grade the step. Reply with the JSON object only.",
    ]
