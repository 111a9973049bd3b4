"""One run of `learning.py`, in a process of its own.

python learning_run.py warm OUT                             the warm start; what the mined library and the PRM are made of
python learning_run.py run OUT FOLDER ARM SEED RATE SPLIT   GRPO from there with the arm's reward, into a folder of its own
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from learning import EVERY, GROUP, RECIPE, STEPS, TASKS
from learning_model import make
from learning_parts import fit_prm

from scribe_core import aio
from scribe_core.builders import build
from scribe_core.builtin.stockroom.environment import Stockroom
from scribe_core.config import Config
from scribe_core.evaluation import evaluate
from scribe_core.settings import EvaluationSettings, RolloutSettings
from scribe_core.skills import dump_prototype
from scribe_core.skills.agent_skill import as_yaml
from scribe_core.training import train
from scribe_core.types import Trajectory

WARM = RECIPE.with_name("stockroom-warm-start.toml")
SKILLS = {"training.steps": 900, "optimizer.learning_rate": 2e-3, "optimizer.decay_steps": 900}
CARELESS = {"training.steps": 150, "optimizer.learning_rate": 3e-4, "optimizer.decay_steps": 150}
EXAMPLES = 64
ROLLOUTS = 400
HELD_OUT = 200


def warm(out: Path) -> None:
    """Trains the warm start: what can be done, then the habits of those who are careless."""
    stockroom = {"use": "stockroom", "size": 100_000, "hardest": 3}
    model = out / "warm" / "model"
    if not model.exists():
        make(model, Stockroom(size=2000, hardest=3).build().tasks("train"), seed=0)
    skilled = imitated(out / "warm" / "skills", model, stockroom, SKILLS)
    careless = {**stockroom, "use": "learning_tasks:Careless"}
    prepare(out, imitated(out / "warm" / "careless", skilled, careless, CARELESS).resolve())


def prepare(out: Path, folder: Path) -> None:
    """Plays with the warm start, and writes where it is, how it does, and what other arms need."""
    success, _ = played(folder, "test", HELD_OUT, 1)
    _, rollouts = played(folder, "train", ROLLOUTS, 2)
    mine(rollouts, out / "warm" / "mined")
    prm = fit_prm(str(folder), rollouts, out / "warm" / "prm.json")
    made = {"policy": str(folder), "success": success, "prm": prm}
    (out / "warm.json").write_text(json.dumps(made), encoding="utf-8")


def imitated(run: Path, model: Path, environment: dict[str, Any], settings: dict[str, Any]) -> Path:
    """The weights after supervised training on demonstrations; goes on where it was stopped."""
    chosen = {
        "environment": environment,
        "policy.model": str(model),
        "policy.dtype": "bfloat16",
        "optimizer.warmup_steps": 20,
        "optimizer.batch_tokens": 2048,
        "training.tasks_per_step": EXAMPLES,
        "training.minutes": 1e6,
        "training.checkpoint_every": 100,
        "evaluation.limit": HELD_OUT,
        **settings,
    }
    return train(Config.load([WARM], overrides(chosen)), run, resume=run.exists()) / "policy"


def played(model: Path, split: str, limit: int, samples: int) -> tuple[float, list[Trajectory]]:
    """The mean outcome of a model, and its rollouts."""
    table = {"policy.model": str(model), "policy.dtype": "bfloat16"}
    policy = build(Config.load([RECIPE], overrides(table)).require("policy")[0])
    settings = EvaluationSettings(split=split, limit=limit, samples=samples, temperature=1.0)
    rollouts = RolloutSettings(max_tokens=64, max_turns=8, concurrency=128)
    environment = Stockroom(size=1000, hardest=3).build()
    found = evaluate(policy, environment, None, settings, rollouts)
    return fmean(found.outcomes.values()), [scored.trajectory for scored in found.scored]


def mine(rollouts: Sequence[Trajectory], folder: Path) -> None:
    from scribe_mine.clusters import Clusters

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for draft in aio.run(build(Clusters()).mine(rollouts)):
        (folder / f"{draft.id}.yaml").write_text(as_yaml(dump_prototype(draft)), encoding="utf-8")


def run(out: Path, folder: Path, arm: str, seed: int, rate: float, split: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    chosen = {
        "trackers": [],
        "policy.model": warm_policy(out),
        "policy.dtype": "bfloat16",
        "policy.packed": False,
        "optimizer.learning_rate": rate,
        "optimizer.batch_tokens": 2048,
        "rollout.concurrency": 128,
        "rollout.group_size": GROUP,
        "training.steps": STEPS,
        "training.minutes": 1e6,
        "training.tasks_per_step": TASKS,
        "training.checkpoint_every": STEPS,
        "training.seed": seed,
        "evaluation.every": EVERY,
        "evaluation.split": split,
        "evaluation.limit": HELD_OUT,
        "evaluation.temperature": 1.0,
        **reward(arm, out),
    }
    checkpoint = train(Config.load([RECIPE], overrides(chosen)), folder)
    shutil.rmtree(checkpoint)


def reward(arm: str, out: Path) -> dict[str, Any]:
    """What of the recipe an arm changes."""
    name, _, rate = arm.partition("~")
    outcome = {"use": "weighted", "process": 0.0, "outcome": 1.0}
    both = {"use": "weighted", "process": 0.3, "outcome": 0.7}
    judge: dict[str, Any] = {"use": "programs"}
    chosen: dict[str, Any] = {}
    match name:
        case "outcome":
            chosen["scorer.aggregator"] = outcome
        case "subgoal":
            chosen["optimizer.credit"] = "subgoal"
        case "mined":
            chosen["scorer.libraries"] = [{"use": "folder", "path": str(out / "warm" / "mined")}]
        case "rubric":
            judge = {"use": "learning_parts:ProblemRubric"}
        case "prm":
            judge = {
                "use": "learning_parts:PRM",
                "model": warm_policy(out),
                "head": str(out / "warm" / "prm.json"),
            }
        case "direct":
            judge = {"use": "hf", "mode": "direct"}
        case "low" | "scribe+low":
            within = outcome if name == "low" else both
            chosen["scorer.aggregator"] = {"use": "learning_parts:LowLevel", "aggregator": within}
    if rate:
        judge = {"use": "learning_parts:Noisy", "rate": float(rate), "judge": judge}
    return {"scorer.judge": judge, **chosen}


def warm_policy(out: Path) -> str:
    """The warm start's folder."""
    made: str = json.loads((out / "warm.json").read_text(encoding="utf-8"))["policy"]
    return made


def overrides(table: dict[str, Any]) -> list[str]:
    """As `--set` takes them."""
    return [f"{key}={_toml(value)}" for key, value in table.items()]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


if __name__ == "__main__":
    what, place, *more = sys.argv[1:]
    if what == "warm":
        warm(Path(place))
    else:
        folder, arm, seed, rate, split = more
        run(Path(place), Path(folder), arm, int(seed), float(rate), split)
