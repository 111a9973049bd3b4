import json

from scribe_core.testing import sample_trajectory
from scribe_core.trajectories import dump_trajectory


def written(path, *skills):
    trajectory = dump_trajectory(sample_trajectory())
    spans = ([4, 6], [6, 7], [2, 4])
    lines = [
        json.dumps(
            {
                "skill": skill,
                "task": f"task-{number}",
                "span": {"start": [first, 0], "end": [end, 0]},
                "trajectory": trajectory,
            }
        )
        for number, (skill, (first, end)) in enumerate(zip(skills, spans, strict=False))
    ]
    path.write_text("\n".join(lines))
    return path


def test_routing_prints_a_table(done, tmp_path):
    file = written(tmp_path / "f.jsonl", "ground-from-results", "answer-from-results", "no such skill")
    shown = done("bench", "routing", "--file", file)
    assert "2 subgoals of 2 tasks; 1 left out" in shown
    assert "top-1" in shown
    assert "accuracy at coverage 50%" in shown


def test_routing_as_json(done, tmp_path):
    file = written(tmp_path / "f.jsonl", "ground-from-results", "answer-from-results")
    report = json.loads(done("bench", "routing", "--file", file, "--json"))
    assert report["router"] == "lexical"
    assert report["figures"]["top_1"] == {"value": 1.0, "interval": [1.0, 1.0]}
    assert "against_baseline" not in report


def test_another_router_is_compared(done, tmp_path):
    file = written(tmp_path / "f.jsonl", "ground-from-results", "answer-from-results")
    unsure = ("--set", "scorer.router.use=lexical", "--set", "scorer.router.min_confidence=1.0")
    report = json.loads(done("bench", "routing", "--file", file, *unsure, "--json"))
    assert report["figures"]["general"] == 1
    assert report["against_baseline"]["only_other_right"] == 2
    assert "lexical - lexical: -1.000" in done("bench", "routing", "--file", file, *unsure)


def test_wrong_files_are_refused(refused, tmp_path):
    (tmp_path / "bad.jsonl").write_text("{}")
    assert "line 1: skill" in refused("bench", "routing", "--file", tmp_path / "bad.jsonl")
    assert "cannot be read" in refused("bench", "routing", "--file", tmp_path / "none.jsonl")
    strange = written(tmp_path / "f.jsonl", "no such skill")
    assert "no subgoal with the id of a prototype" in refused("bench", "routing", "--file", strange)


def test_bench_alone_shows_its_help(done):
    assert "routing" in done("bench")
