"""What the documentation shows is real: its options exist, its files work, its output is what comes out."""

import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

import pytest

from scribe_core import aio
from scribe_core.builtin.programs_judge import ProgramVerdicts
from scribe_core.config import Config
from scribe_core.evaluation import evaluate
from scribe_core.judging.programs import installed_program
from scribe_core.protocols import JudgeRequest
from scribe_core.registry import Registry
from scribe_core.scorer import score_record
from scribe_core.skills import calibration_problems, lint, load_folder, merge
from scribe_core.testing import ScriptedJudge, ScriptedPolicy, sample_prototype, sample_subgoal
from scribe_core.trajectories import read_trajectories

DOCS = Path(__file__).parent.parent / "docs"
OURS = ("scribe-core", "scribe-skills", "scribe-env-bfcl", "scribe-grpo", "scribe-policy-hf")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language on a page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.M | re.S)


def module(source: str, name: str) -> ModuleType:
    made = ModuleType(name)
    exec(compile(source, name, "exec"), made.__dict__)
    return made


def with_text(found: list[str], text: str) -> str:
    (one,) = (block for block in found if text in block)
    return one


@pytest.mark.parametrize(
    "record", [r for r in Registry.installed().records() if r.dist in OURS], ids=lambda r: r.ref
)
def test_every_option_stands_in_the_reference(record):
    if record.kind == "commands":
        return
    text = (DOCS / "reference/config.md").read_text("utf-8")
    assert f"`{record.name}`" in text
    for name in record.options:
        assert f"`{name}`" in text, name


def test_the_tutorials_scores_come_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given, shown = blocks("tutorial.md", "json")
    Path("two.jsonl").write_text(given, "utf-8")
    scored = Config.from_table({}).scorer.build().score(read_trajectories("two.jsonl"))
    assert score_record(scored[1]) == json.loads(shown)
    printed = io.StringIO()
    with redirect_stdout(printed):
        module(blocks("tutorial.md", "python")[0], "tutorial")
    assert printed.getvalue() in blocks("tutorial.md", "text")


def test_the_prototype_is_sound(tmp_path):
    page = "how-to/write-a-prototype.md"
    (tmp_path / "look-up-the-price.yaml").write_text(blocks(page, "yaml")[0], "utf-8")
    library = load_folder(tmp_path)
    made = module(with_text(blocks(page, "python"), "def plural_items"), "shop_programs")
    (prototype,) = library.values()
    names = {item.program for item in prototype.checks + prototype.failure_modes} - {"plural_items"}
    programs = {name: installed_program(name) for name in names} | {
        "plural_items": made.plural_items().build()
    }
    (curated,) = (each.build() for each in Config.from_table({}).scorer.libraries)
    known = {record.name for record in Registry.installed().records("programs")} | {"plural_items"}
    assert lint(merge([curated, library]), known) == []
    assert aio.run(calibration_problems(library, ProgramVerdicts(programs))) == []


def test_the_judge_caps_what_is_long():
    made = module(with_text(blocks("how-to/write-a-plugin.md", "python"), "class TerseJudge"), "terse_judge")
    judge = made.Terse(inner=ScriptedJudge(3.0), max_chars=50).build()
    request = JudgeRequest(subgoal=sample_subgoal(), prototype=sample_prototype())
    assert aio.run(judge.judge([request]))[0].score == 2.0


@pytest.mark.parametrize(("script", "outcome"), [(("1.25 euros.",), 1.0), (("A lot.",), 0.0)])
def test_the_shop_can_be_played(script, outcome, tmp_path, monkeypatch):
    page = "how-to/bring-your-own-environment.md"
    monkeypatch.chdir(tmp_path)
    Path("shop.py").write_text(with_text(blocks(page, "python"), "def price"), "utf-8")
    Path("prompts.jsonl").write_text(blocks(page, "json")[0], "utf-8")
    Path("shop.toml").write_text(blocks(page, "toml")[0], "utf-8")
    config = Config.load([Path("shop.toml")])
    found = evaluate(
        ScriptedPolicy(script), config.environment.build(), None, config.evaluation, config.rollout
    )
    assert found.outcomes == {"both": outcome}


def test_the_guessing_game_can_be_played():
    page = "how-to/bring-your-own-environment.md"
    environment = module(with_text(blocks(page, "python"), "class Guess:"), "guess").Guess(highest=8).build()
    config = Config.from_table({})
    found = evaluate(ScriptedPolicy(("4", "6")), environment, None, config.evaluation, config.rollout)
    assert found.outcomes == {"guess-2": 0.0, "guess-6": 0.5}


def test_the_noise_floor_does_what_is_said():
    torch = pytest.importorskip("torch")
    pytest.importorskip("scribe_grpo")
    from scribe_grpo.advantages import episode

    page = (DOCS / "explanation/decisions.md").read_text("utf-8")
    rewards = torch.tensor([0.94] + [0.96] * 7).double()
    assert str([round(float(episode(rewards, floor)[0]), 2) for floor in (1e-9, 0.05)]) in page
