import socket
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scribe_core.builtin.folder import Folder
from scribe_core.builtin.programs_judge import ProgramsJudge
from scribe_core.builtin.trackers import ConsoleTracker, JsonlTracker
from scribe_core.builtin.weighted import Weighted
from scribe_core.config import MAX_BYTES, MAX_DEPTH, Config, load_config, merge
from scribe_core.errors import ConfigError
from scribe_core.settings import EvaluationSettings, RolloutSettings, TrainingSettings

BASE = """
trackers = ["jsonl", "console"]

[environment]
use = "functions"
prompts = "prompts.txt"
reward = "rewards:exact"

[tools.calculator]
use = "python"
function = "math:sqrt"

[scorer]
libraries = [{use = "folder", path = "skills"}]
judge = "programs"

[scorer.aggregator]
use = "weighted"
process = 0.5

[training]
steps = 7

[evaluation]
split = "test"
"""


@pytest.fixture
def write(tmp_path):
    def written(text, name="config.toml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def error_of(paths, overrides=()):
    with pytest.raises(ConfigError) as error:
        load_config(paths, overrides)
    return str(error.value)


def test_a_config_of_every_table(write):
    config = Config.load([write(BASE)], ["rollout.group_size=2", "scorer.aggregator.outcome=0.5"])
    assert config.policy is None
    assert config.optimizer is None
    assert config.tools["calculator"].function == "math:sqrt"
    assert config.environment.reward == "rewards:exact"
    assert config.rollout == RolloutSettings(group_size=2)
    assert config.scorer.libraries == (Folder(path="skills"),)
    assert config.scorer.judge == ProgramsJudge()
    assert config.scorer.aggregator == Weighted(process=0.5, outcome=0.5)
    assert config.training == TrainingSettings(steps=7)
    assert config.evaluation == EvaluationSettings(split="test")
    assert config.trackers == (JsonlTracker(), ConsoleTracker())


def test_a_config_survives_the_way_into_a_manifest_and_back(write):
    config = Config.load([write(BASE)])
    table = config.to_table()
    assert Config.from_table(table) == config
    assert table["scorer"]["aggregator"] == {
        "use": "weighted",
        "process": 0.5,
        "outcome": 0.7,
        "planning": 0.0,
        "abstained_score": 1.0,
    }
    assert table["policy"] is None
    assert table["trackers"] == [{"use": "jsonl", "path": "metrics.jsonl"}, {"use": "console"}]


def test_require_names_the_missing_tables_with_an_example(write):
    config = Config.load([write(BASE)])
    assert config.require("environment") == (config.environment,)
    with pytest.raises(ConfigError) as error:
        config.require("policy", "environment", "optimizer")
    assert str(error.value).splitlines() == [
        '[policy]: missing; add it, for example [policy] use = "hf"',
        '[optimizer]: missing; add it, for example [optimizer] use = "grpo"',
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("polcy.use=hf", "polcy: the config has no option 'polcy'; did you mean 'policy'?"),
        ("training.steps=0", "training.steps: must be > 0: 0"),
        ("training.steps=many", "training.steps: expected int, got 'many'"),
        ("training=5", "training: expected a table, got 5 (int)"),
        ("scorer=5", "scorer: expected a table, got 5 (int)"),
        ("scorer.judge.use=programz", "scorer.judge: no installed plugin offers 'programz' among its judges"),
        ("scorer.judge.temperature=1", "scorer.judge.temperature: programs has no option 'temperature'"),
        (
            "trackers=['jsnl']",
            "trackers[0]: no installed plugin offers 'jsnl' among its trackers; did you mean 'jsonl'?",
        ),
        ("tools.calculator=5", "tools.calculator: expected a name or a table with `use`, got 5 (int)"),
        (
            "evaluation.trackers=['jsonl']",
            "evaluation.trackers: write `trackers = [...]` above the first [table]",
        ),
        ("environment.api_key=sk-1", "environment.api_key: a key never stands in a config"),
    ],
)
def test_a_wrong_config_is_told_by_key(write, override, message):
    with pytest.raises(ConfigError) as error:
        Config.load([write(BASE)], [override])
    assert str(error.value).startswith(message)


def test_files_merge_left_to_right_and_overrides_come_last(write):
    one = write("[training]\nsteps = 1\nseed = 1\n[rollout]\ngroup_size = 2", "one.toml")
    two = write("[training]\nsteps = 2", "two.toml")
    assert load_config([one, two]) == {"training": {"steps": 2, "seed": 1}, "rollout": {"group_size": 2}}
    assert load_config([two, one]) == {"training": {"steps": 1, "seed": 1}, "rollout": {"group_size": 2}}
    assert load_config([one, two], ["training.steps=3", "training.steps=4"])["training"]["steps"] == 4
    assert load_config([]) == {}


@pytest.mark.parametrize(
    ("old", "new", "merged"),
    [
        ({"use": "a", "x": 1}, {"use": "b", "y": 2}, {"use": "b", "y": 2}),
        ({"use": "a", "x": 1}, {"use": "a", "y": 2}, {"use": "a", "x": 1, "y": 2}),
        ({"use": "a", "x": 1}, {"y": 2}, {"use": "a", "x": 1, "y": 2}),
        ({"x": 1}, {"use": "a"}, {"use": "a", "x": 1}),
        ("a", {"x": 1}, {"use": "a", "x": 1}),
        ("a", {"use": "b", "x": 1}, {"use": "b", "x": 1}),
        ({"use": "a", "x": 1}, "b", {"use": "b"}),
        ({"use": "a", "x": 1}, "a", {"use": "a", "x": 1}),
        ("a", "b", "b"),
        ([1, 2], [3], [3]),
        ({"x": 1}, 5, 5),
        (5, {"x": 1}, {"x": 1}),
    ],
)
def test_changing_use_drops_the_old_options(old, new, merged):
    assert merge({"judge": old}, {"judge": new}) == {"judge": merged}


def test_merging_changes_neither_side():
    old, new = {"a": {"b": 1}}, {"a": {"c": {"d": 2}}}
    merge(old, new)["a"]["c"]["d"] = 3
    assert old == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("override", "table"),
    [
        ("a.b=1", {"a": {"b": 1}}),
        ("a = 1e-3", {"a": 0.001}),
        ("a=true", {"a": True}),
        ("a=text", {"a": "text"}),
        ('a="1"', {"a": "1"}),
        ("a=x=y", {"a": "x=y"}),
        ("a=", {"a": ""}),
        ("a=[1, 2]", {"a": [1, 2]}),
        ("a={use = 'b'}", {"a": {"use": "b"}}),
        ("a.'b.c'.d=2", {"a": {"b.c": {"d": 2}}}),
        ("a=1 # one", {"a": 1}),
        ("a=module:Class", {"a": "module:Class"}),
        ("a=1\nb = 2", {"a": "1\nb = 2"}),
        ("a=/some/path", {"a": "/some/path"}),
    ],
)
def test_an_override_is_toml_or_else_a_string(override, table):
    assert load_config([], [override]) == table


@pytest.mark.parametrize("override", ["", "a", "=1", " = 1", "a b=1", "a.=1", "#=1"])
def test_a_wrong_override_is_told(override):
    assert error_of([], [override]).startswith("--set ")


@settings(deadline=None)
@given(st.text(), st.text())
def test_no_override_breaks_out_of_its_key(key, value):
    try:
        table = load_config([], [f"{key}={value}"])
    except ConfigError:
        return
    while (
        isinstance(table, dict) and len(table) == 1 and isinstance(inner := next(iter(table.values())), dict)
    ):
        table = inner
    assert len(table) <= 1 or value.strip().startswith("{")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = 1\na = 2", "not valid TOML"),
        (b"[a]\n[a]", "not valid TOML"),
        (b"a = ", "not valid TOML"),
        (b"\x00", "not valid TOML"),
        (b"a = '\xff'", "not UTF-8 text (byte 5); save it as UTF-8"),
        ("a = 'ü'".encode("utf-16"), "not UTF-8 text"),
        (b"a = " + b"[" * 100_000, "nested deeper than"),
        (b"a = " + b"[" * 50 + b"]" * 50, f"nested deeper than {MAX_DEPTH} levels"),
        (b".".join([b"a"] * 5000) + b" = 1", f"nested deeper than {MAX_DEPTH} levels"),
        (b"a = " + b"9" * 5000, "not valid TOML"),
        (b"#" * (MAX_BYTES + 1), f"larger than {MAX_BYTES} bytes"),
    ],
    ids=range(11),
)
def test_a_hostile_file_is_one_clear_error(write, content, message):
    path = write(content)
    text = error_of([path])
    assert text.startswith(f"{path}: ")
    assert message in text
    assert len(text) < len(str(path)) + 250


def test_a_byte_order_mark_is_no_error(write):
    assert load_config([write(b"\xef\xbb\xbfa = 1")]) == {"a": 1}


def test_an_empty_file_is_an_empty_config(write):
    assert load_config([write("")]) == {}


def test_what_is_no_readable_file_is_told(tmp_path, monkeypatch):
    assert "cannot be read: No such file" in error_of([tmp_path / "missing.toml"])
    assert "cannot be read: Is a directory" in error_of([tmp_path])
    assert "cannot be read" in error_of([tmp_path / "nul\0byte"])
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)
        server.bind("s")
        assert "cannot be read" in error_of([tmp_path / "s"])


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_give_anything_but_a_table_or_a_config_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(content)
    try:
        table = load_config([path])
    except ConfigError:
        return
    assert table == tomllib.loads(content.decode("utf-8-sig"))
