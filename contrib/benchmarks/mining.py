"""Whether mining finds again the skills that generated trajectories, with the names of tools masked.

    python contrib/benchmarks/mining.py [--count 2000] [--seed 0]

Mines trajectories of known skills (`mining_data.py`), and compares the clusters of their subgoals with the skills: by
adjusted mutual information (Vinh, Epps and Bailey 2010; 0 is chance, 1 is the same partition) over all subgoals,
those that no cluster took up counting as one cluster. The clusters are those of the miner before near-duplicates are
merged. A bootstrap over tasks gives the interval. Then the drafts are linted, with their calibration. A table goes to
stderr, and one JSON object to the last line of stdout.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mining_data import Labelled, generate, masked
from scribe_mine.clusters import Clusters
from scribe_mine.members import Member, members_of
from sklearn.metrics import adjusted_mutual_info_score, homogeneity_completeness_v_measure

from scribe_core import aio
from scribe_core.builders import build
from scribe_core.builtin.programs_judge import ProgramsJudge
from scribe_core.registry import Registry
from scribe_core.skills import Library, Prototype, calibration_problems, lint

DRAWS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="how many trajectories")
    parser.add_argument("--seed", type=int, default=0, help="which tasks, mistakes and answers")
    options = parser.parse_args()
    chosen = [masked(each) for each in generate(options.count, options.seed)]
    report: dict[str, Any] = {"seed": options.seed, "trajectories": len(chosen)}
    report |= agreement(chosen, options.seed)
    began = time.monotonic()
    drafts = aio.run(build(Clusters()).mine([each.trajectory for each in chosen]))
    report |= {"seconds": round(time.monotonic() - began, 1), "drafts": len(drafts), **linted(drafts)}
    print(json.dumps(report))


def agreement(chosen: Sequence[Labelled], seed: int) -> dict[str, Any]:
    """How well the clusters agree with the skills."""
    miner = Clusters()
    members = aio.run(members_of([each.trajectory for each in chosen], build(miner.segmenter)))
    clusters = miner.build().clusters(members)
    places = {_where(member): number for number, cluster in enumerate(clusters) for member in cluster}
    skills = {
        (each.trajectory.id, message): skill for each in chosen for message, skill in each.skills.items()
    }
    tasks = {each.trajectory.id: each.task for each in chosen}
    rows = [
        (tasks[where[0]], skills[where], places.get(where, -1))
        for member in members
        if (where := _where(member)) in skills
    ]
    truth, found = [skill for _, skill, _ in rows], [number for _, _, number in rows]
    homogeneity, completeness, _ = homogeneity_completeness_v_measure(truth, found)
    print_table(rows)
    return {
        "subgoals": len(rows),
        "skills": len(set(truth)),
        "clusters": len(set(found) - {-1}),
        "in_no_cluster": found.count(-1),
        "ami": adjusted_mutual_info_score(truth, found),
        "ami_interval": interval(rows, seed),
        "homogeneity": homogeneity,
        "completeness": completeness,
    }


def interval(rows: Sequence[tuple[str, str, int]], seed: int) -> list[float]:
    """The central 95 % of the bootstrap over tasks; the clusters stay as they are."""
    rng = random.Random(seed)  # noqa: S311
    by_task: dict[str, list[tuple[str, int]]] = {}
    for task, skill, number in rows:
        by_task.setdefault(task, []).append((skill, number))
    tasks, values = list(by_task), []
    for _ in range(DRAWS):
        drawn = [row for task in rng.choices(tasks, k=len(tasks)) for row in by_task[task]]
        values.append(adjusted_mutual_info_score([s for s, _ in drawn], [n for _, n in drawn]))
    values.sort()
    return [values[round(0.025 * DRAWS)], values[round(0.975 * DRAWS) - 1]]


def linted(drafts: Sequence[Prototype]) -> dict[str, Any]:
    """The share of drafts without a problem, calibration included."""
    library = Library(drafts, "the drafts")
    records = Registry.installed().records("programs")
    problems = lint(library, {text for record in records for text in (record.name, record.ref)})
    problems += aio.run(calibration_problems(library, build(ProgramsJudge())))
    for problem in problems:
        print(f"{problem.prototype}: {problem.rule}: {problem.message}", file=sys.stderr)
    bad = {problem.prototype for problem in problems}
    cases = Counter(case.score for draft in drafts for case in draft.calibration)
    return {
        "clean": 1 - len(bad) / len(drafts) if drafts else None,
        "problems": len(problems),
        "calibration_cases": {f"{score:g}": count for score, count in sorted(cases.items())},
    }


def print_table(rows: Sequence[tuple[str, str, int]]) -> None:
    """Each cluster with the skills in it."""
    for number, size in Counter(number for _, _, number in rows).most_common():
        skills = Counter(skill for _, skill, other in rows if other == number)
        shown = ", ".join(f"{skill} {count}" for skill, count in skills.most_common(5))
        print(f"cluster {number:>3}{size:>6}   {shown}", file=sys.stderr)


def _where(member: Member) -> tuple[str, int]:
    return member.subgoal.trajectory.id, member.subgoal.span.start[0]


if __name__ == "__main__":
    main()
