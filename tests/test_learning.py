"""The parts of the learning experiment: its model, its noise, and the rewards that SCRIBE is compared with."""

from pathlib import Path

import pytest
from attrs import evolve

from scribe_core import aio
from scribe_core.builtin.stockroom.environment import Stockroom
from scribe_core.builtin.weighted import Weighted
from scribe_core.protocols import JudgeRequest
from scribe_core.testing import ScriptedJudge, sample_prototype
from scribe_core.types import Conversation, Message, Span, Subgoal, ToolCall, Trajectory

BENCHMARKS = Path(__file__).parents[1] / "contrib" / "benchmarks"
ENVIRONMENT = Stockroom(size=1000, hardest=3).build()
TASKS = ENVIRONMENT.tasks("train")[:12]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def requests(trajectory: Trajectory) -> list[JudgeRequest]:
    spans = [Span((i, 0), (i + 1, 0)) for i, m in enumerate(trajectory.messages) if m.role == "assistant"]
    prototype = sample_prototype()
    return [
        JudgeRequest(subgoal=Subgoal(trajectory=trajectory, span=span), prototype=prototype) for span in spans
    ]


def shown(index: int) -> Trajectory:
    """A task, done as its plan says."""
    task = TASKS[index]
    return Trajectory(id=task.id, task_id=task.id, messages=(*task.messages, *task.demonstration))


def test_the_model_takes_plans_and_gives_them_back(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from learning_model import make
    from scribe_policy_hf.builder import HF

    assert 2e6 < make(tmp_path, TASKS, seed=0) < 5e6
    policy = HF(model=str(tmp_path), dtype="float32").build()
    for task in TASKS:
        tools = ENVIRONMENT.open(task).tools
        whole = Conversation(messages=(*task.messages, *task.demonstration), tools=tools)
        (row,) = policy.rows([whole])
        text = policy.tokenizer.decode(row.context)
        assert all(tool.name in text for tool in tools)
        assert task.messages[0].content in text
        written = policy.tokenizer.decode(
            [token for token, own in zip(row.tokens, row.mask, strict=True) if own]
        )
        parts = [part for part in written.split("<|im_end|>") if part]
        wanted = [
            [(c.name, c.arguments) for c in m.tool_calls] for m in task.demonstration if m.role != "tool"
        ]
        assert [[(c.name, c.arguments) for c in policy._chat.parse(part)[1]] for part in parts] == wanted


def test_noise_replaces_its_share_of_scores_and_is_repeatable() -> None:
    from learning_parts import Noisy

    steady = Noisy(judge=ScriptedJudge(2.5), rate=0.3)
    asked = [
        request
        for index in range(len(TASKS))
        for copy in range(60)
        for request in requests(evolve(shown(index), id=f"{index}-{copy}"))
    ]
    verdicts = aio.run(steady.build().judge(asked))
    share = sum(verdict.score != 2.5 for verdict in verdicts) / len(verdicts)
    assert len(verdicts) > 1000
    assert share == pytest.approx(0.3, abs=0.05)
    assert aio.run(steady.build().judge(asked)) == verdicts


def test_a_rubric_per_problem_is_the_share_of_the_plan() -> None:
    from learning_parts import ProblemRubric

    whole = next(each for each in map(shown, range(12)) if sum(bool(m.tool_calls) for m in each.messages) > 1)
    judge = ProblemRubric().build()
    assert {verdict.score for verdict in aio.run(judge.judge(requests(whole)))} == {3.0}
    calls = [call for message in whole.messages for call in message.tool_calls]
    first = next(i for i, message in enumerate(whole.messages) if message.tool_calls)
    begun = evolve(whole, messages=whole.messages[: first + 1])
    done = len(begun.messages[-1].tool_calls)
    assert aio.run(judge.judge(requests(begun)))[0].score == pytest.approx(3 * done / len(calls))


def test_the_low_level_reward_counts_calls_that_run() -> None:
    from learning_parts import LowLevel, executed

    calls = (ToolCall(name="stock", id="a"), ToolCall(name="stock", id="b"))
    results = (
        Message(role="tool", content='{"east": 3}', tool_call_id="a"),
        Message(role="tool", content="Error: Refused", tool_call_id="b"),
    )
    broken = Message(role="assistant", content="<tool_call>{", raw="<tool_call>{")
    messages = (Message(role="assistant", tool_calls=calls), *results, broken)
    trajectory = Trajectory(id="t", messages=messages, outcome=1.0)
    assert executed(trajectory) == pytest.approx(1 / 3)
    assert executed(evolve(trajectory, messages=())) == 0.0
    again = (Message(role="assistant", tool_calls=calls[:1]), evolve(results[1], tool_call_id="a"))
    assert executed(evolve(trajectory, messages=(*trajectory.messages, *again))) == pytest.approx(1 / 4)
    combined = LowLevel(aggregator=Weighted(process=0.0, outcome=1.0)).build().combine(trajectory, (), ())
    assert combined.value == pytest.approx(0.8 + 0.2 / 3)


def test_careless_demonstrations_go_wrong_as_often_as_asked_and_are_carried_out() -> None:
    from learning_tasks import Careless

    tasks = ENVIRONMENT.tasks("train")[:200]
    shares = {}
    for rate in (0.0, 0.3):
        environment = Careless(size=1000, rate=rate).build()
        shown = environment.tasks("train")[:200]
        assert [task.id for task in shown] == [task.id for task in tasks]
        shares[rate] = (
            sum(a.demonstration != b.demonstration for a, b in zip(shown, tasks, strict=True)) / 200
        )
        assert shown[5].demonstration == environment.tasks("train")[5].demonstration
    assert shares[0.0] == 0
    levels = [sum(bool(m.tool_calls) for m in task.demonstration) for task in tasks]
    right = sum(0.7**count for count in levels) / 200
    # One mistake in five leaves a call as it is where it has no number to get wrong.
    assert 1 - right - 0.15 < shares[0.3] < 1 - right + 0.05


def test_each_kind_of_mistake_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    import learning_tasks

    def changed(kind: str) -> list[tuple[tuple[Message, ...], tuple[Message, ...]]]:
        monkeypatch.setattr(learning_tasks, "MISTAKES", (kind,))
        pairs = [(task.demonstration, learning_tasks.careless(task.id, 1.0)) for task in TASKS]
        return [(right, wrong) for right, wrong in pairs if right != wrong]

    def calls(messages: tuple[Message, ...]) -> list[ToolCall]:
        return [call for message in messages for call in message.tool_calls]

    for _, wrong in changed("stopped") + changed("skipped"):
        assert [message.role for message in wrong] == ["assistant"]
        assert not calls(wrong)
    for _, wrong in changed("malformed"):
        assert wrong[-1].content.startswith("<tool_call>\n{")
        assert not calls(wrong)
    for kind, type_ in (("number", int), ("name", str)):
        assert changed(kind)
        for right, wrong in changed(kind):
            differing = [
                (old, new)
                for a, b in zip(calls(right), calls(wrong), strict=True)
                for old, new in zip(a.arguments.values(), b.arguments.values(), strict=True)
                if old != new
            ]
            assert differing
            assert all(isinstance(value, type_) for pair in differing for value in pair)


def test_agreement_is_the_share_of_pairs_that_a_judge_orders_as_the_outcome_does() -> None:
    from learning_judges import mixed, share

    rollouts = [evolve(shown(0), id=f"{i}", outcome=float(i < 2)) for i in range(4)]
    assert mixed([*rollouts, evolve(shown(1), outcome=1.0)]) == [rollouts]
    # 0 against 2 and 3: won and tied; 1 has no score.
    assert share(rollouts, {"0": 0.9, "1": None, "2": 0.5, "3": 0.9}) == pytest.approx(
        (1 + 0.5 + 0.5 + 0.5) / 4
    )
    assert share(rollouts, {"0": 0.9, "1": 0.2, "2": 0.5, "3": 0.1}) == pytest.approx(3 / 4)
