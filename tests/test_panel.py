"""Several judges, whose verdicts become one: what they differ in, who decides, and what is told of it."""

import asyncio
from typing import Any, ClassVar

import pytest
from attrs import evolve, field, frozen

from scribe_core import aio
from scribe_core.builtin.panel import JudgePanel, Panel, Seat, combine, differ
from scribe_core.builtin.programs_judge import ProgramsJudge
from scribe_core.config import Config
from scribe_core.errors import ConfigError, RunError
from scribe_core.protocols import Judge, JudgeRequest
from scribe_core.testing import ScriptedJudge, sample_prototype, sample_subgoal
from scribe_core.types import Usage, Verdict

ABSTAINED = Verdict(status="abstained", reason="it cannot be told")
FAILED = Verdict(status="failed", reason="the endpoint is down")
Judged = float | Verdict


def scored(score: Judged, **more: Any) -> Verdict:
    return score if isinstance(score, Verdict) else Verdict(status="scored", score=score, **more)


def verdicts(*found: Judged) -> list[Verdict]:
    return [scored(each) for each in found]


REQUEST = JudgeRequest(subgoal=sample_subgoal(), prototype=sample_prototype())


def judged(judge: Judge, *requests: JudgeRequest) -> list[Verdict]:
    async def ask() -> list[Verdict]:
        return await judge.judge(requests or (REQUEST,))

    return aio.run(ask())


def panel(*members: Judged, arbiters: tuple[Judged, ...] = (), **options: Any) -> Judge:
    return Panel(
        judges=tuple(map(ScriptedJudge, members)), arbiters=tuple(map(ScriptedJudge, arbiters)), **options
    ).build()


@frozen(eq=False)
class Recording:
    """Judges as told, and keeps what it was asked."""

    script: Judged
    requests: list[JudgeRequest] = field(factory=list)
    name: ClassVar[str] = "recording"

    def build(self) -> "Recording":
        return self

    async def judge(self, requests: Any) -> list[Verdict]:
        self.requests.extend(requests)
        return [scored(self.script) for _ in requests]


class TestRule:
    @pytest.mark.parametrize(
        ("found", "score"),
        [
            ((2.0,), 2.0),
            ((3.0, 3.0, 0.0), 3.0),
            ((0.0, 3.0, 0.0), 0.0),
            ((3.0, 1.0), 1.0),
            ((1.0, 3.0, 2.0), 1.0),
            ((3.0, 3.0, 2.0, 2.0, 0.0), 2.0),
            ((2.9, 2.6, 1.4), 3.0),
            ((2.5, 0.5), 0.0),
            ((3.0, FAILED, FAILED), 3.0),
            ((3.0, ABSTAINED), 3.0),
            ((0.0, ABSTAINED, FAILED), 0.0),
        ],
    )
    def test_majority(self, found, score):
        assert combine(verdicts(*found), "majority").score == score
        assert combine(verdicts(*found)[::-1], "majority").score == score

    @pytest.mark.parametrize(
        ("found", "score"),
        [
            ((2.0,), 2.0),
            ((3.0, 3.0, 0.0), 2.0),
            ((2.5, 0.0), 1.25),
            ((3.0,) * 7, 3.0),
            ((3.0, FAILED, 2.0), 2.5),
            ((3.0, ABSTAINED), 3.0),
        ],
    )
    def test_mean(self, found, score):
        assert combine(verdicts(*found), "mean").score == score

    @pytest.mark.parametrize("rule", ["majority", "mean"])
    @pytest.mark.parametrize(
        ("found", "status"),
        [
            ((FAILED,), "failed"),
            ((FAILED, FAILED, FAILED), "failed"),
            ((ABSTAINED,), "abstained"),
            ((ABSTAINED, FAILED), "abstained"),
            ((ABSTAINED, ABSTAINED, 0.0), "abstained"),
            ((ABSTAINED, ABSTAINED, 0.0, FAILED, FAILED), "abstained"),
            ((ABSTAINED, 0.0), "scored"),
            ((ABSTAINED, ABSTAINED, 0.0, 1.0), "scored"),
        ],
    )
    def test_status(self, rule, found, status):
        assert combine(verdicts(*found), rule).status == status


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((), False),
        ((1.0,), False),
        ((1.0, 1.0), False),
        ((1.0, 2.0), True),
        ((1.4, 1.6), False),
        ((1.0, 1.5), False),
        ((1.0, 1.4, 1.8), True),
        ((1.0, ABSTAINED), True),
        ((ABSTAINED, ABSTAINED), False),
        ((1.0, FAILED), False),
        ((ABSTAINED, FAILED), False),
        ((FAILED, FAILED), False),
        ((0.0, 3.0, FAILED), True),
    ],
)
def test_differ(found, expected):
    assert differ(verdicts(*found)) is expected


class TestArbiters:
    @pytest.mark.parametrize("members", [(2.0, 2.0), (ABSTAINED, ABSTAINED), (FAILED, 3.0), (FAILED, FAILED)])
    def test_are_not_asked_where_the_members_agree(self, members):
        arbiter = Recording(0.0)
        found = judged(Panel(judges=tuple(map(ScriptedJudge, members)), arbiters=(arbiter,)).build())
        assert found[0].status == combine(verdicts(*members), "majority").status
        assert arbiter.requests == []

    @pytest.mark.parametrize(
        ("members", "arbiters", "score"),
        [
            ((1.0, 3.0), (2.0,), 2.0),
            ((3.0, 3.0, 0.0), (0.0,), 0.0),
            ((0.0, ABSTAINED), (3.0, 3.0, 1.0), 3.0),
            ((1.0, 3.0), (2.0, FAILED), 2.0),
            ((1.0, 3.0), (ABSTAINED,), 1.0),
            ((3.0, 3.0, 1.0), (FAILED, ABSTAINED), 3.0),
        ],
    )
    def test_decide_where_they_differ(self, members, arbiters, score):
        assert judged(panel(*members, arbiters=arbiters))[0].score == score

    def test_are_asked_of_nothing_else(self):
        arbiter = Recording(0.0)
        split = ScriptedJudge(lambda _, subgoal: 3.0 if subgoal.trajectory.id == "clear" else 1.0)
        clear = evolve(REQUEST, subgoal=sample_subgoal(evolve(REQUEST.subgoal.trajectory, id="clear")))
        both = Panel(judges=(ScriptedJudge(3.0), split), arbiters=(arbiter,)).build()
        assert [each.score for each in judged(both, clear, REQUEST, clear)] == [3.0, 0.0, 3.0]
        assert arbiter.requests == [REQUEST]


class TestWhatIsTold:
    FINDINGS = (
        scored(2.0, reason="slip", failure_modes=("default-filled",), evidence=("Paris", "Rome")),
        scored(2.0, reason="so", failure_modes=("default-filled",), evidence=("Rome",), outside=0.2),
        scored(0.0, reason="wrong", failed_checks=("right-tool",), evidence=("clear",), outside=0.1),
    )

    def test_findings_of_the_majority(self):
        (found,) = judged(panel(*self.FINDINGS))
        assert (found.score, found.outside) == (2.0, 0.2)
        assert (found.failed_checks, found.failure_modes) == ((), ("default-filled",))
        assert found.evidence == ("Paris", "Rome")

    def test_findings_of_all_that_the_mean_is_of(self):
        (found,) = judged(panel(*self.FINDINGS, ABSTAINED, rule="mean"))
        assert found.score == pytest.approx(4 / 3)
        assert (found.failed_checks, found.failure_modes) == (("right-tool",), ("default-filled",))
        assert found.evidence == ("Paris", "Rome", "clear")

    def test_everybody_gives_a_reason(self):
        (found,) = judged(panel(0.5, scored(3.0, reason="fine"), FAILED, arbiters=(ABSTAINED,)))
        assert found.reason == (
            "judge 1 (scripted-judge): 0.5; judge 2 (scripted-judge): 3, fine; "
            "judge 3 (scripted-judge): failed, the endpoint is down; "
            "arbiter 1 (scripted-judge): abstained, it cannot be told"
        )

    def test_a_failure_names_all_causes(self):
        (found,) = judged(panel(FAILED, evolve(FAILED, reason="no money left")))
        assert found.status == "failed"
        assert "the endpoint is down" in found.reason
        assert "no money left" in found.reason

    def test_usage_is_of_all_that_were_asked(self):
        paid = [scored(score, usage=Usage(calls=1, prompt_tokens=10, usd=0.5)) for score in (1.0, 3.0, 2.0)]
        failed = evolve(FAILED, usage=Usage(calls=4))
        (found,) = judged(panel(*paid[:2], failed, arbiters=(paid[2],)))
        assert found.usage == Usage(calls=7, prompt_tokens=30, usd=1.5)
        (alike,) = judged(panel(paid[0], paid[0], arbiters=(paid[2],)))
        assert alike.usage == Usage(calls=2, prompt_tokens=20, usd=1.0)

    @pytest.mark.parametrize(
        ("members", "cached"), [((True, True), True), ((True, False), False), ((False,), False)]
    )
    def test_it_was_cached_where_all_were(self, members, cached):
        found = judged(panel(*(scored(2.0, cached=each) for each in members)))
        assert found[0].cached is cached

    def test_an_arbiter_that_was_not_cached_counts(self):
        cached = [scored(score, cached=True) for score in (1.0, 3.0)]
        assert not judged(panel(*cached, arbiters=(2.0,)))[0].cached


class TestSeats:
    def test_a_judge_given_twice_draws_twice(self):
        """Else two seats of one judge would share a remembered reply, and always agree."""
        twice, once = Recording(1.0), Recording(3.0)
        both = Panel(judges=(twice, once, twice), arbiters=(twice,)).build()
        judged(both, REQUEST, evolve(REQUEST, sample=1))
        assert sorted(each.sample for each in twice.requests) == [0, 1, 2, 3, 4, 5]
        assert [each.sample for each in once.requests] == [0, 1]

    def test_they_judge_at_the_same_time(self):
        async def play() -> list[Verdict]:
            everyone = asyncio.Barrier(3)
            seats = [Seat(judge=_Meets(everyone), label=str(i)) for i in range(3)]
            return await JudgePanel(members=tuple(seats)).judge([REQUEST])

        assert asyncio.run(asyncio.wait_for(play(), timeout=60))[0].score == 2.0

    def test_a_member_that_breaks_stops_the_others(self):
        async def play() -> None:
            other = _Meets(asyncio.Barrier(2))
            members = (Seat(judge=_Breaks(), label="a"), Seat(judge=other, label="b"))
            with pytest.raises(ConfigError, match="no such program"):
                await JudgePanel(members=members).judge([REQUEST])
            await asyncio.sleep(0)
            assert other.barrier.n_waiting == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(play())

    def test_a_member_that_drops_a_verdict_is_named(self):
        with pytest.raises(RunError, match=r"judge 2 \(drops\) of the panel returned 1 verdicts where 2"):
            judged(Panel(judges=(ScriptedJudge(), _Drops())).build(), REQUEST, REQUEST)


@frozen(eq=False)
class _Meets:
    """Answers when everyone has come."""

    barrier: asyncio.Barrier

    async def judge(self, requests: Any) -> list[Verdict]:
        await self.barrier.wait()
        return [scored(2.0) for _ in requests]


class _Breaks:
    async def judge(self, requests: Any) -> list[Verdict]:
        await asyncio.sleep(0)
        raise ConfigError("no such program")


@frozen
class _Drops:
    name: ClassVar[str] = "drops"

    def build(self) -> "_Drops":
        return self

    async def judge(self, requests: Any) -> list[Verdict]:
        return [scored(2.0) for _ in requests[1:]]


class TestConfig:
    def test_it_stands_in_a_config(self):
        table = {
            "use": "panel",
            "judges": ["programs", {"use": "cached", "judge": "programs"}],
            "rule": "mean",
            "arbiters": ["programs"],
        }
        found = Config.from_table({"scorer": {"judge": table}}).scorer.judge
        assert isinstance(found, Panel)
        assert (len(found.judges), found.rule, found.arbiters) == (2, "mean", (ProgramsJudge(),))

    def test_another_rule_is_an_error(self):
        table = {"use": "panel", "judges": ["programs"], "rule": "unanimous"}
        with pytest.raises(ConfigError, match=r"scorer\.judge\.rule.*unanimous.*majority"):
            Config.from_table({"scorer": {"judge": table}})

    def test_a_panel_of_nobody_is_an_error(self):
        with pytest.raises(ConfigError, match="judges: a panel needs one at least"):
            Panel(judges=()).build()
