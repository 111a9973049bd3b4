import asyncio
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from scribe_core import aio
from scribe_core.builtin.lexical import Lexical
from scribe_core.builtin.programs_judge import ProgramVerdicts
from scribe_core.builtin.turns import Turns
from scribe_core.builtin.weighted import Weighted
from scribe_core.errors import ConfigError, DataError, RunError
from scribe_core.protocols import JudgeRequest, Program, Route
from scribe_core.scorer import Scorer, ScorerBuilder, check_outcomes, restore, score_record
from scribe_core.skills import Check, Library, Routing
from scribe_core.spans import before, span_calls, span_text
from scribe_core.testing import (
    FixedLibrary,
    ScriptedJudge,
    sample_library,
    sample_prototype,
    sample_trajectory,
)
from scribe_core.types import (
    Finding,
    Message,
    Reward,
    Span,
    Subgoal,
    ToolCall,
    ToolSpec,
    Trajectory,
    Usage,
    Verdict,
)

CALLING = sample_prototype(
    routing=Routing(exemplars=("one tool offered; one call made", "several calls made"))
)
ANSWERING = sample_prototype(id="answering", routing=Routing(exemplars=("one tool offered; no call made",)))
PLAN = sample_prototype(id="plan", level="planning", scope="trajectory")


def scorer(judge: Any = 3.0, library: Library | None = None, **parts: Any) -> Scorer:
    return Scorer(
        **{
            "segmenter": Turns().build(),
            "router": Lexical().build(),
            "library": library or sample_library(CALLING, ANSWERING),
            "judge": judge if hasattr(judge, "judge") else ScriptedJudge(judge),
            "aggregator": Weighted().build(),
            **parts,
        }
    )


def test_every_subgoal_is_routed_judged_and_counted() -> None:
    judge = ScriptedJudge(lambda prototype, _: 3.0 if prototype.id == "call-a-tool" else 0.0)
    (scored,) = scorer(judge).score([sample_trajectory()])
    assert [(each.skill, each.verdict.score) for each in scored.judgements] == [
        ("call-a-tool", 3.0),
        ("call-a-tool", 3.0),
        ("answering", 0.0),
    ]
    assert [each.subgoal.span for each in scored.judgements] == [
        Span((2, 0), (4, 0)),
        Span((4, 0), (6, 0)),
        Span((6, 0), (7, 0)),
    ]
    assert all(0 < each.confidence <= 1 for each in scored.judgements)
    assert scored.planning == ()
    assert scored.reward == Reward(value=pytest.approx(0.7 + 0.3 * 0.5), process=0.5, outcome=1.0)


def test_results_are_in_the_order_of_the_batch() -> None:
    trajectories = [sample_trajectory(id=str(number), outcome=number / 10) for number in range(10)]
    scored = scorer().score(trajectories)
    assert [each.trajectory for each in scored] == trajectories
    assert [each.reward.outcome for each in scored] == [number / 10 for number in range(10)]


def test_prototypes_of_the_whole_are_judged_once_each() -> None:
    seen: list[tuple[str, Span]] = []

    def judge(prototype: Any, subgoal: Subgoal) -> float:
        seen.append((prototype.id, subgoal.span))
        return 1.0

    library = sample_library(CALLING, ANSWERING, PLAN, evolve(PLAN, id="other-plan"))
    first, second = scorer(judge, library).score([sample_trajectory(), Trajectory(id="none", messages=())])
    assert [each.skill for each in first.planning] == ["other-plan", "plan"]
    assert [each.skill for each in second.planning] == ["other-plan", "plan"]
    assert first.planning[0].subgoal.span == Span((0, 0), (7, 0))
    assert first.planning[0].confidence == 1.0
    assert len(first.judgements) == 3
    assert second.judgements == ()
    assert len(seen) == 7


def test_all_requests_of_a_batch_go_to_the_judge_at_once() -> None:
    batches: list[int] = []

    class Counting(ScriptedJudge):
        async def judge(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
            batches.append(len(requests))
            return [Verdict(status="scored", score=1.0)] * len(requests)

    scorer(Counting(), sample_library(CALLING, PLAN)).score([sample_trajectory()] * 3)
    assert batches == [12]


def test_nothing_to_score() -> None:
    assert scorer().score([]) == []


def test_scores_inside_a_running_loop() -> None:
    async def notebook() -> list[Any]:
        assert await scorer().ascore([sample_trajectory()]) == scorer().score([sample_trajectory()])
        return scorer().score([sample_trajectory()])

    assert len(asyncio.run(notebook())) == 1


def quoting(*quotes: str, **fields: Any) -> Verdict:
    return Verdict(**{"status": "scored", "score": 2.0, "evidence": quotes, "reason": "so it is", **fields})


def test_evidence_has_to_stand_in_the_span() -> None:
    verdicts = [
        quoting("Paris"),
        quoting("clear", "Nairobi"),
        quoting("Nairobi", status="failed", score=None),
    ]
    places = {2: 0, 4: 1, 6: 2}
    (scored,) = scorer(lambda _, subgoal: verdicts[places[subgoal.span.start[0]]]).score(
        [sample_trajectory()]
    )
    true, false, failed = (each.verdict for each in scored.judgements)
    assert true == verdicts[0]
    assert (false.status, false.score) == ("abstained", None)
    assert false.evidence == ()
    assert "'clear'" in false.reason
    assert "so it is" in false.reason
    assert (failed.status, failed.evidence) == ("failed", ())


def test_the_requests_words_are_no_evidence_about_the_policy() -> None:
    (scored,) = scorer(quoting("What is the weather")).score([sample_trajectory()])
    assert {each.verdict.status for each in scored.judgements} == {"abstained"}


def test_a_group_that_mixes_outcomes_is_an_error() -> None:
    known, unknown = sample_trajectory(group_id="g"), sample_trajectory(id="u", group_id="g", outcome=None)
    with pytest.raises(DataError, match=r"group 'g'.*'u'"):
        scorer().score([known, unknown])
    check_outcomes([known, sample_trajectory(group_id="h", outcome=None)])
    check_outcomes([unknown, unknown])
    check_outcomes([sample_trajectory(), sample_trajectory(outcome=None)])


@frozen
class Answers:
    """A part of any kind that answers the same to everything."""

    answer: Any

    async def segment(self, _: Any) -> Any:
        return self.answer

    async def route(self, *_: Any) -> Any:
        return self.answer

    async def judge(self, _: Any) -> Any:
        return self.answer

    def combine(self, *_: Any) -> Any:
        return self.answer


def spans(*pairs: tuple[tuple[int, int], tuple[int, int]]) -> list[list[Span]]:
    return [[Span(start, end) for start, end in pairs]]


GENERAL = Route(prototype=sample_library().general, confidence=0.5)
BAD_PARTS = [
    ({"segmenter": Answers(None)}, "None where 1 were asked for"),
    ({"segmenter": Answers([])}, "0 items where 1 were asked for"),
    ({"segmenter": Answers([[None]])}, "None, which is no Span"),
    ({"segmenter": Answers(spans(((2, 0), (2, 0))))}, "is empty"),
    ({"segmenter": Answers(spans(((4, 0), (2, 0))))}, "is empty"),
    ({"segmenter": Answers(spans(((2, 0), (4, 0)), ((3, 0), (5, 0))))}, "overlaps"),
    ({"segmenter": Answers(spans(((4, 0), (5, 0)), ((2, 0), (3, 0))))}, "overlaps"),
    ({"segmenter": Answers(spans(((2, 0), (8, 0))))}, "beyond"),
    ({"segmenter": Answers(spans(((2, 0), (7, 1))))}, "beyond"),
    ({"segmenter": Answers(spans(((-1, 0), (2, 0))))}, "beyond"),
    ({"segmenter": Answers(spans(((2, 0), (2, 10_000))))}, "beyond"),
    ({"router": Answers([GENERAL])}, "1 items where 3 were asked for"),
    ({"router": Answers(["general"] * 3)}, "'general' where a Route was asked for"),
    (
        {"router": Answers([Route(prototype=PLAN, confidence=1.0)] * 3)},
        "'plan', which is no subgoal prototype",
    ),
    (
        {"router": Answers([Route(prototype=evolve(CALLING, title="Other"), confidence=1.0)] * 3)},
        "'call-a-tool', which is no subgoal prototype of the library",
    ),
    ({"router": Answers([evolve(GENERAL, confidence=math.nan)] * 3)}, "the confidence nan"),
    ({"judge": Answers([Verdict(status="failed")])}, "1 items where 3 were asked for"),
    ({"judge": Answers([3.0] * 3)}, "3.0 where a Verdict was asked for"),
    ({"aggregator": Answers(0.5)}, "0.5 where a Reward was asked for"),
    ({"aggregator": Answers(Reward(value=math.inf, process=None, outcome=None))}, "inf"),
]


@pytest.mark.parametrize(("parts", "expected"), BAD_PARTS)
def test_a_part_that_breaks_its_protocol_is_named(parts: dict[str, Any], expected: str) -> None:
    with pytest.raises(RunError, match=r"test_scorer\.Answers returned ") as caught:
        scorer(**parts).score([sample_trajectory()])
    assert expected in str(caught.value)


def test_a_prototype_that_equals_the_librarys_is_accepted() -> None:
    again = sample_library(CALLING, ANSWERING)["answering"]
    router = Answers([Route(prototype=again, confidence=0.25)] * 3)
    (scored,) = scorer(router=router).score([sample_trajectory()])
    assert {(each.skill, each.confidence) for each in scored.judgements} == {("answering", 0.25)}


def test_the_record_is_what_the_command_line_writes() -> None:
    verdict = quoting(
        "clear",
        failed_checks=("right-tool",),
        failure_modes=("default-filled",),
        usage=Usage(calls=1, prompt_tokens=10, completion_tokens=2, usd=0.5),
    )
    cut = Answers(spans(((3, 0), (4, 0))))
    library = sample_library(PLAN)
    (scored,) = scorer(lambda p, _: 1.0 if p.id == "plan" else verdict, library, segmenter=cut).score(
        [sample_trajectory(outcome=None)]
    )
    record = score_record(scored)
    judged = {
        "span": {"start": [3, 0], "end": [4, 0]},
        "skill": "general",
        "score": 2.0,
        "status": "scored",
        "failure_modes": ["default-filled"],
        "failed_checks": ["right-tool"],
        "evidence": ["clear"],
        "confidence": scored.judgements[0].confidence,
        "reason": "so it is",
        "cached": False,
        "outside": None,
    }
    assert record.pop("planning")[0]["skill"] == "plan"
    assert record == {
        "id": "sample",
        "reward": 2 / 3,
        "process": 2 / 3,
        "outcome": None,
        "subgoals": [judged],
        "usage": {"calls": 1, "prompt_tokens": 10, "completion_tokens": 2, "usd": 0.5},
    }


def test_a_record_can_be_restored() -> None:
    library = sample_library(CALLING, PLAN)
    (scored,) = scorer(quoting("a"), library).score([sample_trajectory()])
    record = json.loads(json.dumps(score_record(scored), allow_nan=False))
    assert restore(sample_trajectory(), record) == scored


def test_the_builder_merges_libraries_and_has_defaults() -> None:
    one, other = sample_library(CALLING), Library([ANSWERING], source="other")
    built = ScorerBuilder(libraries=(FixedLibrary(one), FixedLibrary(other))).build()
    assert set(built.library) == {"answering", "call-a-tool", "general"}
    (scored,) = built.score([sample_trajectory()])
    assert {each.verdict.status for each in scored.judgements} == {"abstained"}
    clash = Library([evolve(CALLING, title="Another")], source="third")
    with pytest.raises(ConfigError, match="sample library and third both have a prototype 'call-a-tool'"):
        ScorerBuilder(libraries=(FixedLibrary(one), FixedLibrary(clash))).build()


# Simulated policies. A "world" judges by text alone: a span is worth what its words are worth, and silence 0.

ASK = Message(role="user", content="Weather in Paris?")
RESULT = Message(role="tool", content="done")
TOOL = ToolSpec(name="weather")


def says(text: str) -> Message:
    return Message(role="assistant", content=text)


def calls(worth: int, number: int = 0) -> Message:
    return Message(
        role="assistant", tool_calls=(ToolCall(name="weather", arguments={"w": worth, "n": number}),)
    )


def worth(_: Any, subgoal: Subgoal) -> float:
    """The lowest worth that is written in the span, as in "answer 3" or {"w":3}; silence is worth 0."""
    return float(min(re.findall(r'(?:answer |"w":)(\d)', span_text(subgoal)), default=0))


def process(*messages: Message, judge: Callable[..., Any] = worth) -> float:
    trajectory = Trajectory(id="t", messages=(ASK, *messages), tools=(TOOL,))
    (scored,) = scorer(judge).score([trajectory])
    assert scored.reward.process is not None
    return scored.reward.process


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_silence_is_not_better_than_a_bad_answer(bad: int) -> None:
    for silence in ([], [says("")], [says(" \n")], [says("")] * 3):
        hidden = process(calls(3), RESULT, *(silence or [says("")]))
        assert hidden <= process(calls(3), RESULT, says(f"answer {bad}"))
        assert process(*(silence or [says("")])) <= process(says(f"answer {bad}"))


def test_silence_at_one_of_several_requests_is_judged() -> None:
    honest = process(says("answer 3"), ASK, says("answer 1"))
    assert process(says("answer 3"), ASK, says("")) < honest


@pytest.mark.parametrize("bad", [1, 2])
def test_hiding_a_bad_span_from_the_judge_gains_nothing(bad: int) -> None:
    def blind(prototype: Any, subgoal: Subgoal) -> Verdict | float:
        return Verdict(status="abstained") if "smoke" in span_text(subgoal) else worth(prototype, subgoal)

    honest = process(calls(3), RESULT, says(f"answer {bad}"))
    assert process(calls(3), RESULT, says("smoke"), judge=blind) <= honest


plays = st.lists(
    st.sampled_from([(calls(3), RESULT), (calls(1), RESULT), (says("answer 0"),), (says("answer 2"),)]),
    min_size=1,
    max_size=5,
).map(lambda turns: [message for turn in turns for message in turn])


@settings(deadline=None)
@given(plays, st.data())
def test_padding_with_empty_messages_gains_nothing(play: list[Message], data: st.DataObject) -> None:
    padded = list(play)
    for _ in range(data.draw(st.integers(1, 3))):
        padded.insert(
            data.draw(st.integers(0, len(padded))), says(data.draw(st.sampled_from(["", " ", "\n"])))
        )
    assert process(*padded) <= process(*play) + 1e-9


@settings(deadline=None)
@given(plays, st.data())
def test_padding_with_repeated_work_gains_nothing(play: list[Message], data: st.DataObject) -> None:
    places = [index for index, message in enumerate(play) if message.role == "assistant"]
    again = play[data.draw(st.sampled_from(places))]
    repeated = [again, RESULT] if again.tool_calls else [again]
    assert process(*play, *repeated * data.draw(st.integers(1, 3))) <= process(*play) + 1e-9


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=5), st.data())
def test_cutting_one_span_in_two_gains_nothing(worths: list[int], data: st.DataObject) -> None:
    whole = Message(
        role="assistant",
        tool_calls=tuple(ToolCall(name="weather", arguments={"w": w, "n": n}) for n, w in enumerate(worths)),
    )
    cut = data.draw(st.integers(1, len(worths) - 1))
    parts = [evolve(whole, tool_calls=part) for part in (whole.tool_calls[:cut], whole.tool_calls[cut:])]
    assert process(*parts) <= process(whole) + 1e-9
    assert process(parts[0], RESULT, parts[1], RESULT) <= process(whole, RESULT) + 1e-9


def program(decide: Callable[[Subgoal], bool]) -> Program:
    return lambda subgoal: Finding(answer="pass" if decide(subgoal) else "fail")


def test_a_thousand_trajectories_through_programs() -> None:
    library = sample_library(
        evolve(
            CALLING,
            checks=(
                Check(id="calls", question="Is there a call?", caps=0, program="calls"),
                Check(id="city", question="Is the city that of the request?", caps=1, program="city"),
            ),
            failure_modes=(),
        ),
        evolve(
            ANSWERING,
            checks=(Check(id="says", question="Is something said?", caps=0, program="says"),),
            failure_modes=(),
        ),
    )
    programs = {
        "calls": program(lambda subgoal: bool(span_calls(subgoal))),
        "city": program(
            lambda subgoal: all(
                str(call.arguments["city"]) in before(subgoal)[1].content for call in span_calls(subgoal)
            )
        ),
        "says": program(lambda subgoal: bool(span_text(subgoal))),
    }
    judge = ProgramVerdicts(programs)
    batch = [sample_trajectory(id=str(number)) for number in range(1000)]
    scored = scorer(judge, library).score(batch)
    assert {each.reward.value for each in scored} == {1.0}


def test_ascore_can_be_called_many_times_at_once() -> None:
    async def many() -> list[Any]:
        return await asyncio.gather(*(scorer().ascore([sample_trajectory(id=str(i))]) for i in range(5)))

    assert [scored[0].trajectory.id for scored in aio.run(many())] == list("01234")
