"""The whole loop on one machine without a GPU: warm start, SCRIBE GRPO, and what that did on held-out tasks.

    python contrib/recipes/demo.py

The two runs, `runs/demo-warm-start` and `runs/demo-scribe`, go on where they stopped if the demo is started
again; without those folders it begins anew.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from scribe_report import Comparison, Run, compare, read_run, write_report

from scribe_core.config import Config
from scribe_core.training import train

RECIPES = Path(__file__).parent
WARM_START, SCRIBE = Path("runs/demo-warm-start"), Path("runs/demo-scribe")


def main(overrides: Sequence[str]) -> None:
    console = Console()
    begun = time.monotonic()
    console.rule("1 of 2: warm start on demonstrations")
    config = Config.load([RECIPES / "bfcl-warm-start.toml"], overrides)
    train(config, WARM_START, resume=WARM_START.exists())
    console.rule("2 of 2: GRPO with SCRIBE rewards")
    config = Config.load([RECIPES / "bfcl-scribe.toml"], [*overrides, f"policy.model={WARM_START}"])
    train(config, SCRIBE, resume=SCRIBE.exists())
    console.rule("held-out tasks, before and after GRPO")
    before, after = read_run(WARM_START), read_run(SCRIBE)
    change = compare(before.snapshots[-1].scored, after.snapshots[-1].scored)
    show_change(console, change)
    show_time(console, [before, after])
    report = write_report([WARM_START, SCRIBE], SCRIBE / "report.html")
    console.print(f"{(time.monotonic() - begun) / 60:.1f} minutes in all. Report with pictures: {report}")


def show_change(console: Console, change: Comparison) -> None:
    """Accuracy with its paired interval, then the mean score of each skill."""
    assert change.outcome is not None, "every task of this benchmark has an outcome"
    outcome = change.outcome
    console.print(
        f"accuracy on {outcome.tasks} tasks: {outcome.before:.1%} -> {outcome.after:.1%}, "
        f"difference {outcome.difference:+.1%} (95 % paired bootstrap {outcome.low:+.1%} to {outcome.high:+.1%}); "
        f"{len(change.gained)} gained, {len(change.lost)} lost"
    )
    table = Table("skill", "before", "after", "subgoals", title="mean score, 0 to 3", title_justify="left")
    for skill, scores in change.skills.items():
        means = ("-" if mean is None else f"{mean:.2f}" for mean in (scores.before, scores.after))
        table.add_row(skill, *means, f"{scores.counts[0]} / {scores.counts[1]}")
    console.print(table)


def show_time(console: Console, runs: Sequence[Run]) -> None:
    """Seconds by activity."""
    table = Table("seconds", *(run.name for run in runs), title="where time went", title_justify="left")
    for activity in sorted({activity for run in runs for activity in run.seconds}):
        table.add_row(activity, *(f"{run.seconds.get(activity, 0):.0f}" for run in runs))
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
