"""Whether a mined library tells right calls from wrong ones as well as the curated one, on tasks that were not mined.

    python contrib/benchmarks/mined_library.py [--count 2000] [--per-kind 150] [--seed 0]

Mines trajectories of one half of the tasks (`mining_data.py`, right and wrong ones, with outcomes), and scores the pairs
of `pairs.py` of the other half with the mined library alone and with the curated one: same segmenter, router and judge
(programs). The reference wins where its process score is higher; ties are losses. The difference is paired, with a
bootstrap over tasks. One JSON object goes to the last line of stdout.
"""

import argparse
import hashlib
import json
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corruptions import STRUCTURAL
from mining_data import SINGLE_TURN, generate
from pairs import CURATED, SPLITS, Pair, compared, make_pairs, print_table, read_cases, references, score, won
from scribe_env_bfcl import BFCL
from scribe_env_bfcl.data import has_answers
from scribe_mine.clusters import Clusters

from scribe_core import aio
from scribe_core.builders import build
from scribe_core.skills import Prototype, dump_prototype
from scribe_core.skills.agent_skill import as_yaml

DRAWS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="trajectories that are mined, at most")
    parser.add_argument("--per-kind", type=int, default=150, help="pairs of each corruption, at most")
    parser.add_argument("--seed", type=int, default=0, help="which tasks, and which mistakes")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="also write the mined library here")
    parser.add_argument("--test-half", type=int, choices=(0, 1), default=1, help="the half that is not mined")
    options = parser.parse_args()
    test = options.test_half
    mined = [each.trajectory for each in generate(options.count, options.seed, halves=(1 - test,))]
    drafts = aio.run(build(Clusters()).mine(mined))
    pairs = held_out(options.per_kind, options.seed, test)
    print(f"{len(mined)} trajectories mined, {len(drafts)} drafts; {len(pairs)} pairs", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        own = options.keep or Path(folder) / "mined"
        write(drafts, own)
        folder_of_drafts = f'{{ use = "folder", path = {json.dumps(str(own))} }}'
        results = {"mined": score(pairs, folder_of_drafts), "curated": score(pairs, CURATED)}
    report = {
        "seed": options.seed,
        "test_half": test,
        "mined_from": len(mined),
        "drafts": len(drafts),
        "pairs": len(pairs),
    }
    for name, found in results.items():
        figures = {**compared(pairs, found), "references": references(pairs, found)}
        print(f"\n{name}", file=sys.stderr)
        print_table(figures)
        report[name] = figures
    for name, chosen in (("structural", True), ("values", False)):
        of_kind = [pair for pair in pairs if (pair.kind in STRUCTURAL) is chosen]
        report[f"{name}_difference"] = difference(of_kind, results, options.seed)
    report["difference"] = difference(pairs, results, options.seed)
    print(json.dumps(report))


def held_out(per_kind: int, seed: int, test: int) -> list[Pair]:
    """Pairs of the tasks of one half."""
    categories = tuple(category for category in SINGLE_TURN if has_answers(category))
    environment = BFCL(categories=categories).build()
    cases = [case for case in read_cases(environment, SPLITS) if half(case.task.id) == test]
    return list(make_pairs(environment, cases, per_kind, seed))


def half(task: str) -> int:
    return int(hashlib.sha256(task.encode()).hexdigest(), 16) % 2


def write(drafts: Sequence[Prototype], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for draft in drafts:
        (folder / f"{draft.id}.yaml").write_text(as_yaml(dump_prototype(draft)), encoding="utf-8")


def difference(pairs: Sequence[Pair], results: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The rate of the mined library minus that of the curated one, with the central 95 % of a bootstrap over tasks."""
    by_task: dict[str, list[int]] = {}
    for pair in pairs:
        gained = won(pair, results["mined"]) - won(pair, results["curated"])
        by_task.setdefault(pair.case.task.id, []).append(gained)
    rng, tasks, values = random.Random(seed), list(by_task), []  # noqa: S311
    for _ in range(DRAWS):
        drawn = [gained for task in rng.choices(tasks, k=len(tasks)) for gained in by_task[task]]
        values.append(sum(drawn) / len(drawn))
    values.sort()
    mean = sum(map(sum, by_task.values())) / len(pairs)
    return {"mean": mean, "interval": [values[round(0.025 * DRAWS)], values[round(0.975 * DRAWS) - 1]]}


if __name__ == "__main__":
    main()
