"""Does a reward per subgoal teach faster than the outcome alone? A small model in the stockroom, several seeds, several rewards.

    python contrib/benchmarks/learning.py [--arms outcome scribe ...] [--seeds 0 1 2 3 4] [--jobs 2] [--out runs/learning]

A model of 3 million weights (`learning_model.py`) is warm-started once: on demonstrations, and then on careless ones
(`learning_tasks.py`), so that it goes wrong where it knows better. From there every arm makes the same number of GRPO
steps on the same tasks in the same order, with one seed for all that is drawn; only the reward differs. Written down
before any arm was run from this warm start:

    primary metric   success on 200 held-out tasks (split test, sampled at temperature 1), mean of the evaluations at
                     steps 5, 10, 15, 20, 25 and 30, `scribe` minus `outcome`, paired by seed, with a 95 % t interval
    steps            30 of 8 tasks x 16 rollouts
    learning rate    of 5e-5, 1e-4, 2e-4 and 3e-4 the one with which `outcome` does best in the same metric on the
                     split validation, mean of seeds 98 and 99: the rate suits what SCRIBE is compared with
    seeds            0 to 4
    secondary        the same for the other arms against `outcome`, noise at three levels in each judge that is tried
                     with it; success against generated tokens and seconds

An earlier warm start, without the careless demonstrations, left nothing that 40 steps could teach: what it got wrong it
could not do, and neither `outcome` nor `scribe` moved. From the present kind of warm start, and at 3e-4 for all, chosen by
the standing of `outcome` at step 10, `outcome` had 28.4 % over five seeds and `scribe` 31.6 %, a difference of 3.1 points,
+1.1 to +5.1; `outcome` fell after step 5, so its rate may have been too high, and is chosen more carefully here.

Arms: `outcome`, the outcome alone. `scribe`, the recipe: 0.3 process + 0.7 outcome for the episode. `subgoal`, the same
with each subgoal's advantage on its own tokens. `mined`, SCRIBE with a library mined from the warm start's rollouts.
`rubric`, a rubric per problem, checked without a mistake. `prm`, a process reward model trained on the warm start's
rollouts. `direct`, SmolLM2-135M asked how good each step is, without a rubric: hours on a CPU. `low` and `scribe+low` add to
`outcome` and `scribe` a reward of 0.2 for calls that are well formed and run. An arm with a process reward takes "~SHARE", such as scribe~0.2: that share of its judge's scores is replaced by random ones.
Any arm takes "@RATE", a learning rate of its own: `outcome@3e-4` and `scribe@3e-4` were added when seed 0 was done, to see
again what the greater rate does.

Each run is a process of its own, on one core. Runs that --out holds already are not run again. A table goes to stderr, a
picture to OUT/learning.png, and one JSON object to the last line of stdout.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any

from grpo_step import allocator

from scribe_core.intervals import student
from scribe_core.records import read_jsonl

HERE = Path(__file__).resolve().parent
RECIPE = HERE.parent / "recipes" / "stockroom-scribe.toml"
STEPS, EVERY = 30, 5
TASKS, GROUP = 8, 16
RATES, TUNING = (5e-5, 1e-4, 2e-4, 3e-4), (98, 99)
"""The learning rates that `outcome` is tried with, and the seeds that it is tried on."""
ARMS = ("outcome", "scribe", "subgoal", "mined", "rubric", "prm", "direct", "low", "scribe+low")
FIRST = ("outcome", "scribe", "subgoal")
AGAINST = {"subgoal": "scribe", "scribe+low": "low", "scribe@3e-4": "outcome@3e-4"}
"""What an arm is compared with beside `outcome`."""
SHARE = r"(?:0?\.\d*[1-9]\d*|1(?:\.0*)?)"
ALONE = ("outcome", "low")
"""The arms without a process reward: there is no score to disturb."""


def main() -> None:
    options = arguments()
    made = options.out / "warm.json"
    if not made.exists():
        call("warm", options.out)
    warm = json.loads(made.read_text(encoding="utf-8"))
    with ThreadPoolExecutor(options.jobs) as pool:
        tried = tune(options.out, pool)
        rate = max(tried, key=lambda each: tried[each])
        jobs = [
            (options.out / arm / str(seed), name, seed, float(own) if own else rate)
            for seed in options.seeds
            for arm in options.arms
            for name, _, own in [arm.partition("@")]
        ]
        list(pool.map(lambda job: one(options.out, *job, "test"), jobs))
    curves = {arm: [curve(options.out / arm / str(seed)) for seed in options.seeds] for arm in options.arms}
    figures = summary(curves)
    show(figures)
    draw(curves, warm["success"], options.out / "learning.png")
    chosen = {"seeds": options.seeds, "steps": STEPS, "tried_rates": tried, "rate": rate}
    print(json.dumps({**chosen, "warm_start": warm, **figures}))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arms", nargs="+", default=list(FIRST), metavar="ARM", help=", ".join(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, a core each")
    parser.add_argument("--out", type=Path, default=Path("runs/learning"))
    given = parser.parse_args()
    for arm in given.arms:
        read = re.fullmatch(rf"([^~@]+)(~{SHARE})?(@\d+e-\d)?", arm)
        if not read or read[1] not in ARMS or (read[2] and read[1] in ALONE):
            parser.error(
                f"--arms: {arm!r}; choices: {', '.join(ARMS)}; with a process reward ~SHARE up to 1; then @RATE like @3e-4"
            )
    if not 1 <= len(given.seeds) <= 10:
        parser.error(f"--seeds: {len(given.seeds)} of them; give 1 to 10")
    if given.jobs < 1:
        parser.error(f"--jobs: {given.jobs}; give 1 or more")
    if "outcome" not in given.arms:
        parser.error("--arms: the others are compared with 'outcome'; name it too")
    given.out = given.out.resolve()
    return given


def tune(out: Path, pool: ThreadPoolExecutor) -> dict[float, float]:
    """How `outcome` does on the split validation with each learning rate."""
    folders = {rate: [out / "tuning" / f"{rate:g}" / str(seed) for seed in TUNING] for rate in RATES}
    jobs = [(each, "outcome", int(each.name), rate) for rate in RATES for each in folders[rate]]
    list(pool.map(lambda job: one(out, *job, "validation"), jobs))
    return {rate: fmean(metric(curve(each)) for each in found) for rate, found in folders.items()}


def one(out: Path, folder: Path, arm: str, seed: int, rate: float, split: str) -> None:
    """One run, unless it is there."""
    if (folder / "done").exists():
        return
    started = time.monotonic()
    call("run", out, str(folder), arm, str(seed), str(rate), split)
    (folder / "done").touch()
    told = f"{arm} seed {seed} rate {rate:g}: {metric(curve(folder)):.3f}"
    print(f"{told}, {time.monotonic() - started:.0f} s", file=sys.stderr)


def call(what: str, out: Path, *more: str) -> None:
    """Runs learning_run.py, a GRPO run on one core."""
    quiet = {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    quiet["OMP_NUM_THREADS"] = str(os.cpu_count()) if what == "warm" else "1"
    path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, str(HERE / "learning_run.py"), what, str(out), *more],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | quiet | allocator() | {"PYTHONPATH": path},
    )
    if done.returncode:
        sys.exit(f"{what} {' '.join(more)} broke: {done.stderr.strip()[-2000:]}")


def curve(folder: Path) -> list[dict[str, float]]:
    """A point per evaluation: step, success, tokens generated and seconds of training until then."""
    events = [event for _, event in read_jsonl(folder / "events.jsonl")]
    steps = [event for event in events if event["event"] == "step"]
    tokens = list(accumulate(event["completion_tokens"] * TASKS * GROUP for event in steps))
    seconds = list(accumulate(sum(event["seconds"].values()) for event in steps))
    return [
        {
            "step": event["step"],
            "success": event["outcome"],
            "tokens": tokens[event["step"] - 1],
            "seconds": seconds[event["step"] - 1],
        }
        for event in events
        if event["event"] == "evaluation"
    ]


def metric(points: Sequence[Mapping[str, float]]) -> float:
    return fmean(each["success"] for each in points)


def summary(curves: Mapping[str, Sequence[Sequence[Mapping[str, float]]]]) -> dict[str, Any]:
    """Of each arm the primary metric by seed, and its difference from `outcome`, paired by seed."""
    found = {arm: list(map(metric, of_seeds)) for arm, of_seeds in curves.items()}
    arms: dict[str, dict[str, Any]] = {}
    for arm, values in found.items():
        arms[arm] = {
            "success": fmean(values),
            "by_seed": values,
            "at_the_end": fmean(points[-1]["success"] for points in curves[arm]),
            "tokens": fmean(points[-1]["tokens"] for points in curves[arm]),
            "seconds": fmean(points[-1]["seconds"] for points in curves[arm]),
        }
        for other in ("outcome", AGAINST.get(arm)):
            if other in found and other != arm:
                arms[arm][f"minus_{other}"] = difference(values, found[other])
    return {"arms": arms}


def difference(values: Sequence[float], others: Sequence[float]) -> dict[str, Any]:
    """Paired by seed, with a 95 % t interval."""
    found = [a - b for a, b in zip(values, others, strict=True)]
    return {"mean": fmean(found), "interval": student(found) if len(found) > 1 else None}


def show(figures: Mapping[str, Any]) -> None:
    print(
        f"{'arm':<14}{'success':>9}{'at the end':>12}{'tokens':>10}{'s':>7}  differences, 95 %",
        file=sys.stderr,
    )
    for arm, row in figures["arms"].items():
        told = [f"{key.replace('_', ' ')} {shown(row[key])}" for key in row if key.startswith("minus_")]
        print(
            f"{arm:<14}{row['success']:>9.3f}{row['at_the_end']:>12.3f}{row['tokens']:>10.0f}{row['seconds']:>7.0f}"
            f"  {', '.join(told)}",
            file=sys.stderr,
        )


def shown(found: Mapping[str, Any]) -> str:
    between = " [{:+.3f}, {:+.3f}]".format(*found["interval"]) if found["interval"] else ""
    return f"{found['mean']:+.3f}{between}"


def draw(curves: Mapping[str, Sequence[Sequence[Mapping[str, float]]]], start: float, path: Path) -> None:
    """Held-out success against steps, generated tokens and seconds: the mean over seeds, and their range."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    for axes, (key, label) in zip(figure.subplots(1, 3, sharey=True), _axes(), strict=True):
        for arm, of_seeds in curves.items():
            points = list(zip(*of_seeds, strict=True))
            x = [0.0, *(fmean(each[key] for each in point) for point in points)]
            values = [[start], *([each["success"] for each in point] for point in points)]
            (line,) = axes.plot(x, list(map(fmean, values)), marker="o", markersize=3, label=arm)
            axes.fill_between(
                x, list(map(min, values)), list(map(max, values)), alpha=0.08, color=line.get_color()
            )
        if key == "tokens":
            axes.xaxis.set_major_formatter(lambda tokens, _: f"{tokens / 1000:g}")
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("success on held-out tasks")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    figure.savefig(path, dpi=120)


def _axes() -> Iterator[tuple[str, str]]:
    yield "step", "GRPO steps"
    yield "tokens", "tokens generated, in thousands"
    yield "seconds", "seconds of training, one core"


if __name__ == "__main__":
    main()
