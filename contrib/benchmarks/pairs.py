"""How well `scribe score` tells the right calls of a request from the same calls with one mistake.

    python contrib/benchmarks/pairs.py [--categories simple_python live_multiple] [--per-kind 400] [--seed 0] [--split all]

Takes the reference calls of the Berkeley Function Calling Leaderboard, corrupts copies of them (see
`corruptions.py`, which was written before the programs that are measured here), keeps the pairs in which the
leaderboard's own check accepts the reference and rejects the copy, and scores both without an outcome, by
programs alone. The reference wins where its process score is higher; a tie, or no score, counts as a loss.
A table goes to stderr, and one JSON object to the last line of stdout.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import frozen
from corruptions import STRUCTURAL, VALUES, Calls, Case, Corruption, Pool
from scribe_env_bfcl import BFCL
from scribe_env_bfcl.data import CATEGORIES, has_answers
from scribe_env_bfcl.environment import BFCLEnvironment

from scribe_core.intervals import wilson
from scribe_core.types import Message, ToolSpec

SPLITS = ("train", "validation", "test")
DRAWS = 8
"""How often a corruption is drawn for one task before the task is left out."""

CURATED = '"scribe-skills"'
CONFIG = """
[scorer]
segmenter = "turns"
router = "lexical"
libraries = [LIBRARY]

[scorer.judge]
use = "programs"
"""


@frozen(kw_only=True)
class Pair:
    """A case, and its reference calls with one mistake of `kind`."""

    kind: str
    case: Case
    corrupted: Calls

    @property
    def id(self) -> str:
        return f"{self.case.task.id}/{self.kind}"


def main() -> None:
    options = _options()
    environment = BFCL(categories=tuple(options.categories)).build()
    cases = list(read_cases(environment, SPLITS if options.split == "all" else (options.split,)))
    pairs = list(make_pairs(environment, cases, options.per_kind, options.seed))
    print(f"{len(cases)} references, {len(pairs)} pairs; scoring", file=sys.stderr)
    results = score(pairs)
    report = {
        "seed": options.seed,
        "split": options.split,
        "categories": options.categories,
        "pairs": len(pairs),
        **compared(pairs, results),
        "references": references(pairs, results),
    }
    print_table(report)
    print_losses([pair for pair in pairs if not won(pair, results)][: options.losses], results)
    print(json.dumps(report))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    answered = [category for category in CATEGORIES if has_answers(category)]
    parser.add_argument("--categories", nargs="+", default=answered, choices=answered, metavar="CATEGORY")
    parser.add_argument(
        "--per-kind", type=int, default=400, help="at most this many pairs of each corruption"
    )
    parser.add_argument("--seed", type=int, default=0, help="which tasks, and which mistakes")
    parser.add_argument("--split", choices=("all", *SPLITS), default="all")
    parser.add_argument("--losses", type=int, default=0, metavar="N", help="show the first N lost pairs")
    return parser.parse_args()


def read_cases(environment: BFCLEnvironment, splits: Iterable[str]) -> Iterator[Case]:
    """The tasks that have reference calls."""
    for task in (task for split in splits for task in environment.tasks(split)):
        calls = tuple(call for message in task.demonstration for call in message.tool_calls)
        if calls:
            tools = {tool.name: tool for tool in environment.open(task).tools}
            yield Case(task=task, tools=tools, calls=calls)


def make_pairs(
    environment: BFCLEnvironment, cases: Sequence[Case], per_kind: int, seed: int
) -> Iterator[Pair]:
    """Up to `per_kind` pairs of each corruption, from tasks in an order drawn with the seed."""
    pool = Pool(cases)
    for kind, corrupt in {**STRUCTURAL, **VALUES}.items():
        order = list(cases)
        random.Random(f"{seed}/{kind}").shuffle(order)  # noqa: S311 - a sample, not a secret
        found = (pair for case in order if (pair := _pair(environment, case, kind, corrupt, pool, seed)))
        yield from islice(found, per_kind)


def _pair(
    environment: BFCLEnvironment, case: Case, kind: str, corrupt: Corruption, pool: Pool, seed: int
) -> Pair | None:
    rng = random.Random(f"{seed}/{kind}/{case.task.id}")  # noqa: S311
    for _ in range(DRAWS):
        corrupted = corrupt(case, rng, pool)
        if corrupted is not None and is_right(environment, case, case.calls) > is_right(
            environment, case, corrupted
        ):
            return Pair(kind=kind, case=case, corrupted=corrupted)
    return None


def is_right(environment: BFCLEnvironment, case: Case, calls: Calls) -> bool:
    """Whether the leaderboard accepts the calls."""
    messages = (*case.task.messages, Message(role="assistant", tool_calls=calls))
    return asyncio.run(environment.open(case.task).outcome(messages)) == 1.0


def score(pairs: Sequence[Pair], library: str = CURATED) -> dict[str, Any]:
    """What `scribe score` says of each trajectory, by its id: references by their task's id.

    `library` is the library as it stands in a config.
    """
    calls = {pair.case.task.id: (pair.case, pair.case.calls) for pair in pairs}
    calls |= {pair.id: (pair.case, pair.corrupted) for pair in pairs}
    with tempfile.TemporaryDirectory() as folder:
        inputs, config, out = (Path(folder) / name for name in ("in.jsonl", "scorer.toml", "out.jsonl"))
        inputs.write_text("".join(_line(name, *what) for name, what in calls.items()), encoding="utf-8")
        config.write_text(CONFIG.replace("LIBRARY", library), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "scribe_core.cli.main",
            "score",
            inputs,
            "--config",
            config,
            "--out",
            out,
        ]
        if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
            sys.exit("pairs.py: `scribe score` failed; see its message above")
        results = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return {result["id"]: result for result in results}


def _line(name: str, case: Case, calls: Calls) -> str:
    messages = [{"role": m.role, "content": m.content} for m in case.task.messages]
    made = [
        {
            "id": f"call_{i}",
            "type": "function",
            "function": {"name": c.name, "arguments": json.dumps(c.arguments)},
        }
        for i, c in enumerate(calls)
    ]
    messages.append({"role": "assistant", "content": "", "tool_calls": made})
    tools = [_tool(tool) for tool in case.tools.values()]
    return json.dumps({"schema_version": 1, "id": name, "messages": messages, "tools": tools}) + "\n"


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def won(pair: Pair, results: Mapping[str, Any]) -> bool:
    """Whether the reference has the higher process score."""
    reference, corrupted = results[pair.case.task.id]["process"], results[pair.id]["process"]
    return reference is not None and corrupted is not None and reference > corrupted


def compared(pairs: Sequence[Pair], results: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of each kind, of all structural kinds, and of all values."""
    kinds = {kind: figures([p for p in pairs if p.kind == kind], results) for kind in (*STRUCTURAL, *VALUES)}
    structural = figures([pair for pair in pairs if pair.kind in STRUCTURAL], results)
    values = figures([pair for pair in pairs if pair.kind in VALUES], results)
    return {"kinds": kinds, "structural": structural, "values": values}


def figures(pairs: Sequence[Pair], results: Mapping[str, Any]) -> dict[str, Any]:
    """How many pairs the reference wins, with Wilson's 95 % interval of the rate; ties are among the losses."""
    wins = sum(won(pair, results) for pair in pairs)
    both = [(results[pair.case.task.id]["process"], results[pair.id]["process"]) for pair in pairs]
    return {
        "pairs": len(pairs),
        "wins": wins,
        "rate": wins / len(pairs) if pairs else None,
        "interval": wilson(wins, len(pairs)),
        "ties": sum(reference is not None and reference == corrupted for reference, corrupted in both),
        "unscored": sum(None in scores for scores in both),
    }


def references(pairs: Sequence[Pair], results: Mapping[str, Any]) -> dict[str, Any]:
    """The references' own scores, from 0 to 3."""
    own = [results[task_id] for task_id in dict.fromkeys(pair.case.task.id for pair in pairs)]
    scores = [3 * result["process"] for result in own if result["process"] is not None]
    statuses = Counter(subgoal["status"] for result in own for subgoal in result["subgoals"])
    return {
        "count": len(own),
        "mean_score": sum(scores) / len(scores) if scores else None,
        "scores": {f"{score:g}": n for score, n in sorted(Counter(round(s, 3) for s in scores).items())},
        "process_null": len(own) - len(scores),
        "statuses": dict(statuses),
    }


def print_table(report: Mapping[str, Any]) -> None:
    rows = {**report["kinds"], "all structural": report["structural"], "all values": report["values"]}
    print(f"{'corruption':<24}{'pairs':>7}{'wins':>7}{'ties':>7}{'rate':>9}   95 % interval", file=sys.stderr)
    for name, row in rows.items():
        if row["pairs"]:
            low, high = row["interval"]
            counts = f"{row['pairs']:>7}{row['wins']:>7}{row['ties']:>7}"
            print(f"{name:<24}{counts}{row['rate']:>9.1%}   {low:.1%} to {high:.1%}", file=sys.stderr)
    own = report["references"]
    if own["mean_score"] is not None:
        print(
            f"references: mean {own['mean_score']:.3f} of 3 over {own['count']}, {own['scores']}",
            file=sys.stderr,
        )


def print_losses(pairs: Sequence[Pair], results: Mapping[str, Any]) -> None:
    for pair in pairs:
        ours, theirs = results[pair.case.task.id]["process"], results[pair.id]["process"]
        print(f"\n{pair.id}: {ours} against {theirs}\n  {pair.case.request}", file=sys.stderr)
        for name, calls in (("reference", pair.case.calls), ("corrupted", pair.corrupted)):
            print(f"  {name}: {[(call.name, call.arguments) for call in calls]}", file=sys.stderr)


if __name__ == "__main__":
    main()
