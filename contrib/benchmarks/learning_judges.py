"""How well do the judges of `learning.py` tell a rollout that succeeds from one that fails at the same task, and at what cost?

    python contrib/benchmarks/learning_judges.py [--judges scribe ...] [--tasks 100] [--direct 8] [--out runs/learning]

The warm start in OUT plays validation tasks, eight rollouts each, and each judge scores those of the tasks at which some
succeed and some fail. `agreement` is the share of pairs, a success and a failure at one task, in which the success has the
greater process reward, a tie counted half; its mean over tasks, with a 95 % interval. That is what a group compares, so
0.5 teaches nothing. `seconds` is what the judgement of a rollout takes. `direct` is SmolLM2-135M asked without a rubric;
it is slow, and gets the first `--direct` of the tasks. A table goes to stderr, one JSON object to the last line of stdout.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from learning import RECIPE
from learning_run import overrides, played, reward, warm_policy

from scribe_core.config import Config
from scribe_core.intervals import bootstrap
from scribe_core.types import Trajectory

JUDGES = ("scribe", "scribe~0.2", "scribe~0.4", "scribe~0.8", "mined", "rubric", "prm", "direct")
SAMPLES = 8


def main() -> None:
    options = arguments()
    _, rollouts = played(Path(warm_policy(options.out)), "validation", options.tasks, SAMPLES)
    tasks = mixed(rollouts)
    figures = {}
    for judge in options.judges:
        figures[judge] = measured(judge, tasks[: options.direct] if judge == "direct" else tasks, options.out)
        told = "{tasks:>4} tasks  {agreement:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]  {seconds:.4f} s a rollout"
        print(f"{judge:<12}{told.format(**figures[judge])}", file=sys.stderr, flush=True)
    print(json.dumps(figures))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--judges", nargs="+", default=list(JUDGES), choices=JUDGES)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--direct", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("runs/learning"))
    given = parser.parse_args()
    given.out = given.out.resolve()
    if not (given.out / "warm.json").exists():
        parser.error(f"--out: {given.out} has no warm start; run learning.py first")
    return given


def mixed(rollouts: Sequence[Trajectory]) -> list[list[Trajectory]]:
    """The rollouts of each task at which some succeed and some fail."""
    found: dict[str, list[Trajectory]] = defaultdict(list)
    for each in rollouts:
        found[each.task_id].append(each)
    return [some for some in found.values() if {bool(each.outcome) for each in some} == {True, False}]


def measured(judge: str, tasks: Sequence[Sequence[Trajectory]], out: Path) -> dict[str, Any]:
    scorer = Config.load([RECIPE], overrides(reward(judge, out))).scorer.build()
    started = time.monotonic()
    scored = scorer.score([each for some in tasks for each in some])
    seconds = (time.monotonic() - started) / len(scored)
    process = {each.trajectory.id: each.reward.process for each in scored}
    shares = [share(some, process) for some in tasks]
    return {
        "tasks": len(tasks),
        "agreement": fmean(shares),
        "interval": bootstrap(shares),
        "seconds": seconds,
        "unscored": sum(value is None for value in process.values()),
    }


def share(rollouts: Sequence[Trajectory], process: dict[str, float | None]) -> float:
    """Of the pairs, those in which the success has more; one without a score is a tie with all."""
    pairs = [(a, b) for a in rollouts for b in rollouts if a.outcome and not b.outcome]
    return fmean(_wins(process[a.id], process[b.id]) for a, b in pairs)


def _wins(success: float | None, failure: float | None) -> float:
    if success is None or failure is None or success == failure:
        return 0.5
    return float(success > failure)


if __name__ == "__main__":
    main()
