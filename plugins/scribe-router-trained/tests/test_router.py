import json
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from scribe_router_trained.features import of_exemplar, of_subgoal
from scribe_router_trained.head import Head, load, save
from scribe_router_trained.router import TrainedRouter

from scribe_core import aio
from scribe_core.errors import ConfigError, DataError
from scribe_core.protocols import Ranking, Route
from scribe_core.router_bench import appended
from scribe_core.skills import Library, Prototype, Routing
from scribe_core.testing import RouterContract, sample_library, sample_prototype
from scribe_core.trajectories import dump_trajectory
from scribe_core.types import Message, Span, Subgoal, ToolCall, ToolSpec, Trajectory

DIGITS = ToolSpec(
    name="area",
    description="The area of a shape.",
    parameters={"type": "object", "properties": {"width": {"type": "number"}}, "required": ["width"]},
)
PLACE = ToolSpec(
    name="weather",
    description="The weather in a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def prototype(id_: str, *exemplars: str) -> Prototype:
    return sample_prototype(id=id_, routing=Routing(exemplars=exemplars))


CALLING = prototype("calling", "one tool offered; one call made", "several tools offered; one call made")
SAYING = prototype(
    "saying", "one tool offered; no call made; text answer", "no call made; text answer; hello"
)
BOUNDS = prototype(
    "bounds", "the lower bound and the upper bound meet", "no value above the bound is possible"
)
COUNTING = prototype("counting", "count the ways to choose", "the number of ways is the product")


def library(*prototypes: Prototype) -> Library:
    return sample_library(*prototypes)


def subgoal(number: int = 0, text: str = "", call: bool = False, tool: ToolSpec = PLACE) -> Subgoal:
    calls = (ToolCall(name=tool.name, arguments={"city": "Rome"}),) if call else ()
    messages = (
        Message(role="user", content=f"What is it like, number {number}?"),
        Message(role="assistant", content=text, tool_calls=calls),
    )
    trajectory = Trajectory(id=f"t{number}", task_id=f"task-{number}", messages=messages, tools=(tool,))
    return Subgoal(trajectory=trajectory, span=Span((1, 0), (2, 0)))


def line(subgoal: Subgoal, skill: str, **more: Any) -> str:
    span = {"start": list(subgoal.span.start), "end": list(subgoal.span.end)}
    return json.dumps(
        {"skill": skill, "span": span, "trajectory": dump_trajectory(subgoal.trajectory), **more}
    )


def written(path: Path, lines: Iterable[str]) -> str:
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def routes(builder: TrainedRouter, subgoals: list[Subgoal], prototypes: Library) -> list[Route]:
    async def routed() -> list[Route]:
        return await builder.build().route(subgoals, prototypes)

    return aio.run(routed())


def found(builder: TrainedRouter, subgoal: Subgoal, *prototypes: Prototype) -> str:
    (route,) = routes(builder, [subgoal], library(*prototypes))
    return route.prototype.id


class TestTrained(RouterContract):
    def builder(self) -> TrainedRouter:
        return TrainedRouter()

    def library(self) -> Library:
        return library(CALLING, SAYING, BOUNDS)


class TestWithMembers(TestTrained):
    @pytest.fixture
    def builder(self, tmp_path: Path) -> TrainedRouter:
        members = [
            line(subgoal(n, call=bool(n % 2), text="Well."), ("saying", "calling")[n % 2]) for n in range(8)
        ]
        return TrainedRouter(members=written(tmp_path / "members.jsonl", members))


def test_situations_of_exemplars_are_learnt():
    assert found(TrainedRouter(), subgoal(call=True), CALLING, SAYING) == "calling"
    assert found(TrainedRouter(), subgoal(text="It is warm."), CALLING, SAYING) == "saying"


def test_words_tell_steps_apart_where_the_situation_does_not():
    for text, skill in (("So the upper bound meets it", "bounds"), ("Count the ways: a product", "counting")):
        assert found(TrainedRouter(), subgoal(text=text), BOUNDS, COUNTING) == skill


def test_words_beside_a_call_are_not_read():
    silent = of_subgoal(subgoal(call=True, text="."))
    assert of_subgoal(subgoal(call=True, text="The bound is the number of ways.")) == silent
    assert of_subgoal(subgoal(text="The bound is reached.")).own


def test_twins_teach_to_distrust_words(tmp_path: Path):
    """The tool tells the two skills apart; the words do too, until somebody appends those of the other."""
    skills = (("calling", PLACE, "Sunny intervals today."), ("saying", DIGITS, "Forty square metres."))
    members = [
        line(subgoal(n, text=text, tool=tool), skill) for n in range(12) for skill, tool, text in skills
    ]
    builder = TrainedRouter(members=written(tmp_path / "members.jsonl", members))
    for skill, tool, text in skills:
        other = next(words for each, _, words in skills if each != skill)
        plain = subgoal(99, text=text, tool=tool)
        assert found(builder, plain, CALLING, SAYING) == skill
        assert found(builder, appended(plain, f"{other} {other}"), CALLING, SAYING) == skill


def test_members_change_what_exemplars_say(tmp_path: Path):
    members = [line(subgoal(n, call=True, tool=DIGITS), "saying") for n in range(12)]
    builder = TrainedRouter(members=written(tmp_path / "members.jsonl", members))
    assert found(builder, subgoal(99, call=True, tool=DIGITS), CALLING, SAYING) == "saying"
    assert found(TrainedRouter(), subgoal(99, call=True, tool=DIGITS), CALLING, SAYING) == "calling"


def test_unsure_is_general():
    (route,) = routes(TrainedRouter(min_confidence=1.0), [subgoal(text="Hm.")], library(CALLING, SAYING))
    assert route.prototype.id == "general"
    assert 0 <= route.confidence <= 1


def test_ranks_all_prototypes_best_first():
    router = TrainedRouter().build()
    assert isinstance(router, Ranking)
    (ranked,) = aio.run(_ranked(router, subgoal(call=True), library(CALLING, SAYING, BOUNDS)))
    assert {id_ for id_, _ in ranked} == {"calling", "saying", "bounds"}
    chances = [chance for _, chance in ranked]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1)


async def _ranked(router: Ranking, subgoal: Subgoal, prototypes: Library) -> list[list[tuple[str, float]]]:
    return await router.rank([subgoal], prototypes)


def test_a_head_is_kept_and_fitted_anew_for_another_library(tmp_path: Path):
    path = tmp_path / "heads" / "head.npz"
    builder = TrainedRouter(head=str(path))
    expected = routes(TrainedRouter(), [subgoal(call=True)], library(CALLING, SAYING))
    assert routes(builder, [subgoal(call=True)], library(CALLING, SAYING)) == expected
    kept = load(path)
    assert kept.ids == ("calling", "saying")
    # What stands in the file is what routes: a bias that only the file has decides.
    kept.weights[-1] = np.array([-99, 99], dtype=np.float32)
    save(kept, path)
    again = evolve(builder, min_confidence=0.1)
    assert found(again, subgoal(call=True), CALLING, SAYING) == "saying"
    assert found(builder, subgoal(text="upper bound"), CALLING, BOUNDS) == "bounds"
    assert load(path).digest != kept.digest


def test_a_head_survives_its_file(tmp_path: Path):
    head = Head(
        digest="d",
        ids=("a", "b"),
        rows={"s x": 0},
        idf={"r w": 1.5},
        weights=np.eye(2, dtype=np.float32),
        own_weight=0.5,
    )
    save(head, tmp_path / "head.npz")
    back = load(tmp_path / "head.npz")
    assert (back.digest, back.ids, back.rows, back.idf) == ("d", ("a", "b"), {"s x": 0}, {"r w": 1.5})
    assert (back.weights == head.weights).all()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x80\x04K\x01."])
def test_what_is_no_head_is_said_to_be_none(tmp_path: Path, content: bytes):
    (tmp_path / "head.npz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"head\.npz: no fitted head"):
        load(tmp_path / "head.npz")


def test_a_pickled_head_is_refused(tmp_path: Path):
    path = tmp_path / "head.npz"
    with path.open("wb") as file:
        np.savez(file, about=np.array({"digest": "d"}, dtype=object), weights=np.eye(2))
    with pytest.raises(ConfigError, match="no fitted head"):
        load(path)


def test_wrong_options_say_what_is_right(tmp_path: Path):
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read"):
        TrainedRouter(members=str(tmp_path / "none.jsonl")).build()
    with pytest.raises(ConfigError, match="'tfidf', 'wordllama', 'minilm', or the folder"):
        TrainedRouter(embedding="glove").build()
    strange = TrainedRouter(members=written(tmp_path / "m.jsonl", ['{"skill": "flying", "text": "up"}']))
    with pytest.raises(ConfigError, match="its skills are flying"):
        routes(strange, [subgoal()], library(CALLING, SAYING))
    with pytest.raises(ConfigError, match="needs two prototypes with exemplars or members"):
        routes(TrainedRouter(), [subgoal()], library(CALLING))


def test_an_exemplar_is_completed_without_contradiction():
    for seed in range(20):
        signs = of_exemplar("after a tool error; one call made", Random(seed)).signs
        assert {"after a tool error", "one call made"} <= {*signs}
        assert not {"no call made", "first action", "text answer", "same tool called"} & {*signs}
        assert (
            sum(sign in signs for sign in ("no tools offered", "one tool offered", "several tools offered"))
            == 1
        )
