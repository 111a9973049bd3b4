"""What a refresh proposes, what it takes up, and what a run's folder keeps of it."""

import json

import pytest
from attrs import evolve, frozen

from scribe_core import aio
from scribe_core.builtin.lexical import Lexical
from scribe_core.builtin.programs_judge import ProgramsJudge
from scribe_core.builtin.turns import Turns
from scribe_core.builtin.weighted import Weighted
from scribe_core.config import Config
from scribe_core.errors import ConfigError, DataError
from scribe_core.refresh import Proposal, Window, changed_library, propose, take_up
from scribe_core.refreshing import Refresher
from scribe_core.runs import RunFolder, make_manifest
from scribe_core.scorer import Scorer
from scribe_core.settings import RefreshSettings
from scribe_core.skills import CalibrationCase, Check, FailureMode, Library, Routing
from scribe_core.spans import whole
from scribe_core.testing import sample_prototype
from scribe_core.trajectories import dump_trajectory
from scribe_core.types import Judgement, Message, Reward, Scored, Subgoal, Trajectory, Verdict

CHECKS = (Check(id="said", question="Is anything said?", caps=0, program="answer_not_empty"),)
MODES = tuple(
    FailureMode(id=f"mode-{caps}", description=f"Mistake {'i' * caps}.", caps=caps) for caps in (1, 2)
)


def answer(name, text="I cannot do that."):
    messages = (Message(role="user", content="Do it."), Message(role="assistant", content=text))
    return Trajectory(id=name, messages=messages, outcome=1.0)


def prototype(name, exemplar="", cases=(), **changes):
    return sample_prototype(
        id=name,
        when_to_use=f"{name} {name[::-1]} applies.",
        checks=CHECKS,
        failure_modes=MODES,
        routing=Routing(exemplars=(exemplar,) if exemplar else ()),
        calibration=tuple(CalibrationCase(span=dump_trajectory(t), score=3, source="test") for t in cases),
        **changes,
    )


def scored(index, skill, score):
    trajectory = answer(f"t{index}-{skill}")
    subgoal = Subgoal(trajectory=trajectory, span=whole(trajectory))
    verdict = Verdict(status="scored", score=score)
    judgement = Judgement(subgoal=subgoal, skill=skill, confidence=1, verdict=verdict)
    return Scored(
        trajectory=trajectory,
        judgements=(judgement,),
        reward=Reward(value=score / 3, process=score / 3, outcome=1.0),
    )


def scorer(*prototypes):
    return Scorer(
        library=Library([*prototypes, prototype("general")], "test"),
        segmenter=Turns().build(),
        router=Lexical().build(),
        judge=ProgramsJudge().build(),
        aggregator=Weighted().build(),
    )


CALLS = prototype("calls", "one call made")
ANSWERS = prototype("answers", "no call made; text answer", cases=[answer("a case")])


def proposed(parts, recent, *drafts):
    return [(p.kind, p.skill) for p in aio.run(propose(parts, Window(recent), drafts))]


def test_what_only_general_judges_is_added():
    recent = [scored(i, "general", 3) for i in range(30)]
    assert ("add", "answers") in proposed(scorer(CALLS), recent, ANSWERS)


def test_a_draft_that_another_prototype_covers_is_not_added():
    draft = prototype("draft", "no call made; text answer; first action")
    recent = [scored(i, "answers", 3) for i in range(30)]
    assert ("add", "draft") not in proposed(scorer(ANSWERS), recent, draft)


def test_another_general_prototype_is_not_proposed():
    recent = [scored(i, "general", 3) for i in range(30)]
    assert proposed(scorer(), recent, prototype("general", "no call made; text answer")) == []


def test_bimodal_scores_are_split_and_others_are_not():
    texts = ["I cannot.", ""]
    for scores, expected in (([0, 3], True), ([2, 3], False)):
        recent = []
        for i in range(40):
            each = scored(i, "answers", scores[i % 2])
            trajectory = evolve(each.trajectory, messages=answer("x", texts[i % 2]).messages)
            subgoal = Subgoal(trajectory=trajectory, span=whole(trajectory))
            recent.append(evolve(each, judgements=(evolve(each.judgements[0], subgoal=subgoal),)))
        draft = prototype("draft", "no call made; empty answer")
        assert (("split", "answers") in proposed(scorer(ANSWERS), recent, draft)) is expected


def test_unused_and_mastered_prototypes_retire_and_general_never():
    recent = [scored(i, "answers", 3) for i in range(30)]
    assert proposed(scorer(CALLS, ANSWERS), recent) == [("retire", "answers"), ("retire", "calls")]
    varied = [*recent, scored(31, "answers", 2)]
    assert proposed(scorer(ANSWERS), varied) == []
    everything_general = [scored(i, "general", 3) for i in range(30)]
    assert proposed(scorer(), everything_general) == []


def test_few_spans_retire_nothing():
    assert proposed(scorer(CALLS, ANSWERS), [scored(i, "answers", 3) for i in range(5)]) == []


def taken(parts, *proposals, most=2):
    library, judged = aio.run(take_up(parts, proposals, most))
    return library, [each.refused for each in judged]


def test_a_retirement_bumps_what_named_it():
    neighbour = evolve(ANSWERS, routing=evolve(ANSWERS.routing, confusable_with=("calls",)))
    parts = scorer(CALLS, neighbour)
    library, refused = taken(parts, Proposal(kind="retire", skill="calls", reason="unused"))
    assert refused == [""]
    assert "calls" not in library
    assert library["answers"].version == neighbour.version + 1
    assert library["answers"].routing.confusable_with == ()
    assert library.digest != parts.library.digest


def test_a_split_bumps_the_old_one_and_names_the_new_one():
    draft = prototype("draft", "no call made; empty answer")
    library = changed_library(
        scorer(ANSWERS).library, Proposal(kind="split", skill="answers", reason="", draft=draft)
    )
    assert library["answers"].version == ANSWERS.version + 1
    assert library["answers"].routing.confusable_with == ("draft",)
    assert library["draft"].lifecycle["status"] == "active"


def add(draft):
    return Proposal(kind="add", skill=draft.id, reason="", draft=draft)


def test_a_sound_draft_passes_every_gate():
    library, refused = taken(scorer(CALLS), add(ANSWERS))
    assert refused == [""]
    assert library["answers"].lifecycle["status"] == "active"


def test_gates_refuse():
    unsound = evolve(prototype("draft"), failure_modes=())
    wrong = evolve(prototype("draft", cases=[answer("silent", "")]))
    thief = prototype("draft", "no call made; text answer; first action; no tools offered")
    for draft, gate in ((unsound, "lint"), (wrong, "calibration"), (thief, "routing")):
        parts = scorer(ANSWERS)
        library, (refused,) = taken(parts, add(draft))
        assert refused.startswith(gate), (gate, refused)
        assert library.digest == parts.library.digest


def test_no_more_than_so_many_of_a_kind():
    drafts = [add(prototype(name, "several calls made")) for name in ("one", "two", "three")]
    library, refused = taken(scorer(), *drafts, most=2)
    assert refused == ["", "", "2 of this kind were taken up"]
    assert set(library) == {"general", "one", "two"}


@frozen
class FixedMiner:
    drafts: tuple = (ANSWERS,)

    async def mine(self, trajectories):
        return list(self.drafts) if trajectories else []


@pytest.fixture
def run_folder(tmp_path):
    run = RunFolder(tmp_path / "run", make_manifest({}, "0123abcd"), resume=False)
    for i in range(30):
        each = scored(i, "general", 3)
        run.log_trajectory(1, each.trajectory)
        run.log_score(1, each, "0123abcd")
    yield run
    run.close()


def refreshed(run, accept=True, miner=FixedMiner()):
    refresher = Refresher(1, RefreshSettings(accept=accept), miner)
    parts = refresher.restored(run, scorer(CALLS), 0)
    return refresher, refresher.after(1, run, parts)


def test_a_refresh_is_kept_and_not_made_again(run_folder):
    refresher, (parts, record) = refreshed(run_folder)
    assert set(parts.library) == {"answers", "general"}, "one added, one retired"
    assert [(c["kind"], c["skill"], c["refused"]) for c in record["changes"]] == [
        ("add", "answers", ""),
        ("retire", "calls", ""),
    ]
    assert record["before"] != record["library"] == parts.library.digest
    nothing = Refresher(1, RefreshSettings(accept=True), FixedMiner(drafts=()))
    again, told = nothing.after(1, run_folder, scorer(CALLS))
    assert (again.library.digest, told) == (parts.library.digest, record)
    assert refresher.restored(run_folder, scorer(CALLS), 0).library.digest == record["before"]
    assert refresher.restored(run_folder, scorer(CALLS), 1).library.digest == record["library"]


def test_without_leave_nothing_changes_and_all_is_told(run_folder):
    _, (parts, record) = refreshed(run_folder, accept=False)
    assert parts.library.digest == record["before"] == record["library"]
    assert {change["refused"] for change in record["changes"]} == {"refresh.accept is false"}


def test_a_library_that_was_edited_is_refused(run_folder):
    refresher, _ = refreshed(run_folder)
    path = run_folder.path / "library/step-000001/answers.yaml"
    path.write_text(path.read_text().replace("version: 1", "version: 7", 1))
    with pytest.raises(DataError, match="step-000001"):
        refresher.restored(run_folder, scorer(CALLS), 1)


def test_never_where_it_is_off(run_folder):
    refresher = Refresher(0, RefreshSettings(), None)
    parts = scorer(CALLS)
    assert refresher.after(1, run_folder, parts) == (parts, None)
    assert refresher.restored(run_folder, parts, 1) is parts
    assert not (run_folder.path / "library").exists()


def test_a_refresh_without_a_miner_is_an_error():
    config = Config.from_table({"training": {"refresh_every": 5}})
    with pytest.raises(ConfigError, match=r"refresh\.miner: missing.*scribe-mine"):
        Refresher.build(config, type("Learner", (), {"learns_from": "rollouts"})())


def test_demonstrations_cannot_be_mined():
    config = Config.from_table({"training": {"refresh_every": 5}})
    config = evolve(config, refresh=RefreshSettings(miner=object()))
    with pytest.raises(ConfigError, match="demonstrations"):
        Refresher.build(config, type("Learner", (), {"learns_from": "demonstrations"})())


def test_the_record_is_json(run_folder):
    _, (_, record) = refreshed(run_folder)
    assert json.loads(json.dumps(record)) == record
