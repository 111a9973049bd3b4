"""Whatever stands in a file from outside: one clear line, the exit code that says whose fault it is, no traceback."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file


@pytest.fixture
def refused(scribe):
    """Runs a command that must fail with this code; returns its error lines without their prefix."""

    def told(*arguments, cwd, code=2):
        done = scribe(*arguments, cwd=cwd)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        lines = done.stderr.splitlines()
        assert lines
        assert [line for line in lines if not line.startswith("scribe: error: ")] == []
        return "\n".join(line.removeprefix("scribe: error: ") for line in lines)

    return told


def cut(path, keep=0.5):
    """Truncates a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


CONFIGS = {
    "truncated": (b'[policy]\nuse = "h', "bad.toml: not valid TOML"),
    "not UTF-8": (b"\xff\xfe[policy]", "bad.toml: not UTF-8 text (byte 0)"),
    "binary": (b"\x00" * 100, "bad.toml: not valid TOML"),
    "huge": (b"#" * (2 << 20), "bad.toml: larger than 1048576 bytes"),
    "deep": (b"a = " + b"[" * 5000 + b"]" * 5000, "bad.toml: nested deeper than 32 levels"),
    "a table twice": (b"[policy]\n[policy]\n", "bad.toml: not valid TOML"),
    "an unknown table": (b'[polcy]\nuse = "hf"', "did you mean 'policy'?"),
    "no table": (b"policy = 3", "policy: expected a name or a table with `use`, got 3"),
    "an unknown part": (b'optimizer = "gpro"', "did you mean 'grpo'?"),
    "an unknown option": (b"[training]\nstep = 3", "did you mean 'steps'?"),
    "a text for a number": (b'[training]\nsteps = "many"', "training.steps: expected int, got 'many'"),
    "a float for an int": (b"[training]\nsteps = 1.5", "training.steps: expected int, got 1.5"),
    "a bool for an int": (b"[training]\nsteps = true", "training.steps: expected int, got True"),
    "out of range": (b"[training]\nsteps = 0", "training.steps"),
    "not finite": (b'[optimizer]\nuse = "grpo"\nlearning_rate = nan', "optimizer.learning_rate"),
    "infinite": (b"[training]\nminutes = inf", "training.minutes"),
    "a choice that is none": (b'[policy]\nuse = "hf"\ndtype = "int8"', "policy.dtype"),
    "more tasks than there are": (b"[training]\ntasks_per_step = 99", "training.tasks_per_step: 99"),
    "no such split": (b'[evaluation]\nsplit = "tset"', "has no split 'tset'"),
    "a key": (b'[policy]\nuse = "hf"\napi_key = "x"', "policy.api_key"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_config(workplace, refused, name):
    content, message = CONFIGS[name]
    (workplace / "bad.toml").write_bytes(content)
    for command in ("train", "validate"):
        assert message in refused(command, "base.toml", "grpo.toml", "bad.toml", cwd=workplace)
    assert not (workplace / "runs/bad").exists()


@pytest.mark.parametrize("file", ["nowhere.toml", "skills", "x" * 5000, ""])
def test_config_that_is_no_file(workplace, refused, file):
    assert "cannot be read" in refused("train", "base.toml", file, cwd=workplace)


PROMPTS = {
    "empty": (b"", "holds no prompts"),
    "not JSON": (b'{"prompt": "a"}\n{"pro', "prompts.jsonl:2: not JSON"),
    "not UTF-8": (b'{"prompt": "\xff"}', "is not UTF-8 (byte 12)"),
    "not finite": (b'{"prompt": "a", "word": NaN}', "NaN is not a JSON number"),
    "no object": (b"[1]", "prompts.jsonl:1"),
    "a number for a text": (b'{"prompt": 5}', "prompts.jsonl:1.prompt"),
    "messages that are none": (b'{"messages": [{"role": "king"}]}', "'king' is no role"),
    "one id twice": (b'{"id": 1, "prompt": "a"}\n{"id": 1, "prompt": "b"}', "taken by an earlier prompt"),
    "deep": (b'{"prompt": "a", "x": ' + b"[" * 500 + b"]" * 500 + b"}", "deep"),
    "no word": (b'{"prompt": "a", "split": "train"}', "asks for 'word: str', which task"),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts(workplace, refused, name):
    content, message = PROMPTS[name]
    (workplace / "prompts.jsonl").write_bytes(content)
    assert message in refused("train", "base.toml", "grpo.toml", cwd=workplace)


SKILLS = {
    "empty": (b"", "general.yaml"),
    "truncated": (b'schema_version: 1\nid: "gen', "general.yaml: not valid YAML: line 2"),
    "not UTF-8": (b"\xff\xfe", "general.yaml: byte 0 is not UTF-8"),
    "huge": (b"a" * (1 << 20), "general.yaml: larger than 262144 bytes"),
    "a list": (b"[1, 2]", "general.yaml"),
    "deep": (b"[" * 5000, "general.yaml: not valid YAML"),
    "code": (b"!!python/object/apply:os.system [exit]", "general.yaml: not valid YAML"),
    "aliases": (b"a: &a [x]\nb: [*a, *a]", "anchors and aliases are not allowed"),
}


@pytest.mark.parametrize("name", SKILLS)
def test_skill_files(workplace, refused, name):
    content, message = SKILLS[name]
    (workplace / "skills/general.yaml").write_bytes(content)
    assert message in refused("train", "base.toml", "grpo.toml", cwd=workplace)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("caps: 2", "caps: 7", "caps"),
        ("caps: 2", "caps: .nan", "caps"),
        ("caps: 2", "caps: low", "caps"),
        ("title: Saying a word", "title: [1]", "title"),
        ("id: general", "id: ../general", "id"),
        ("title:", "titel:", "titel"),
        (
            "program: answered_plainly",
            "program: nothing",
            "no installed plugin offers 'nothing' among its programs",
        ),
    ],
)
def test_skill_values(workplace, refused, old, new, message):
    file = workplace / "skills/general.yaml"
    file.write_text(file.read_text().replace(old, new))
    assert message in refused("train", "base.toml", "grpo.toml", cwd=workplace)


MODELS = {
    "weights cut short": ("model.safetensors", cut),
    "no weights": ("model.safetensors", lambda path: path.unlink()),
    "weights of something else": ("model.safetensors", lambda path: path.write_bytes(b"PK\3\4" * 100)),
    "config cut short": ("config.json", cut),
    "config of no model": ("config.json", lambda path: path.write_text("[]")),
    "unknown architecture": ("config.json", lambda path: path.write_text('{"model_type": "abacus"}')),
    "tokenizer cut short": ("tokenizer.json", cut),
    "no chat template": ("chat_template.jinja", lambda path: path.unlink()),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(workplace, refused, name):
    file, spoil = MODELS[name]
    shutil.copytree(workplace / "tiny", workplace / "spoilt")
    spoil(workplace / "spoilt" / file)
    shown = refused(
        "train",
        "base.toml",
        "sft.toml",
        "--set",
        "policy.model=./spoilt",
        "--run",
        name.replace(" ", "-"),
        cwd=workplace,
    )
    assert "policy.model" in shown
    assert "spoilt" in shown


CHECKPOINTS = {
    "weights cut short": ("policy/model.safetensors", cut),
    "no weights": ("policy/model.safetensors", lambda path: path.unlink()),
    "no policy": ("policy", shutil.rmtree),
    "optimizer cut short": ("optimizer/optimizer.safetensors", cut),
    "no optimizer": ("optimizer", shutil.rmtree),
    "no state": ("state.json", lambda path: path.unlink()),
    "state cut short": ("state.json", cut),
    "state of garbage": ("state.json", lambda path: path.write_bytes(b"\xff\x00")),
    "state is a list": ("state.json", lambda path: path.write_text("[3]")),
    "state of texts": ("state.json", lambda path: path.write_text('{"step": "3", "policy_version": 3}')),
    "state is not finite": ("state.json", lambda path: path.write_text('{"step": NaN, "policy_version": 3}')),
    "state below zero": ("state.json", lambda path: path.write_text('{"step": -1, "policy_version": 3}')),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints(trained, refused, train, name):
    file, spoil = CHECKPOINTS[name]
    checkpoint = trained / "runs/grpo/checkpoints/step-000003"
    spoil(checkpoint / file)
    shown = refused(*train, "--resume", "--set", "training.steps=4", cwd=trained)
    assert "checkpoints/step-000003" in shown
    if name in ("weights cut short", "state cut short"):
        shown = refused("eval", "base.toml", "grpo.toml", "--run", "grpo", cwd=trained)
        assert "checkpoints/step-000003" in shown


def test_a_checkpoint_of_another_model(trained, refused, train):
    config = trained / "runs/grpo/checkpoints/step-000003/policy/config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 1'))
    for command in ((*train, "--resume"), ("eval", "base.toml", "grpo.toml", "--run", "grpo")):
        assert "checkpoints/step-000003" in refused(*command, cwd=trained)


@pytest.mark.parametrize("part", ["policy/model.safetensors", "optimizer/optimizer.safetensors"])
def test_a_checkpoint_without_some_of_its_weights(trained, refused, train, part):
    """What is missing is never made up."""
    file = trained / "runs/grpo/checkpoints/step-000003" / part
    tensors = load_file(file)
    del tensors[next(name for name in tensors if "layers.1.mlp.up_proj" in name)]
    save_file(tensors, file, {"format": "pt"})
    shown = refused(*train, "--resume", "--set", "training.steps=4", cwd=trained)
    assert "checkpoints/step-000003" in shown


MANIFESTS = {
    "empty": b"",
    "garbage": b"\xff\xfe\x00",
    "cut short": b'{"config": {',
    "a list": b"[]",
    "no config": b"{}",
    "a config of nothing": b'{"config": 5}',
    "not finite": b'{"config": {"training": NaN}}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests(trained, refused, train, name):
    (trained / "runs/grpo/manifest.json").write_bytes(MANIFESTS[name])
    assert "runs/grpo/manifest.json" in refused(*train, "--resume", cwd=trained)


def test_another_config_or_library_is_another_run(trained, refused, train):
    shown = refused(*train, "--resume", "--set", "rollout.group_size=2", cwd=trained)
    assert "runs/grpo: this run began with another config; changed: rollout.group_size; " in shown
    skill = trained / "skills/spell.yaml"
    skill.write_text(skill.read_text().replace("version: 1\ntitle", "version: 2\ntitle"))
    shown = refused(*train, "--resume", cwd=trained)
    assert "runs/grpo: the skill library has changed" in shown


LINES = {
    "not JSON": b"{]",
    "not UTF-8": b'"\xff"',
    "no object": b"[]",
    "no step": b"{}",
    "a step of text": b'{"step": "3", "trajectory": {}, "score": {}}',
    "nothing in it": b'{"step": 9}',
    "not finite": b'{"step": 9, "trajectory": {"outcome": NaN}, "score": {"reward": NaN}}',
    "deep": b'{"step": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("log", ["trajectories", "scores"])
@pytest.mark.parametrize("name", LINES)
def test_logs(trained, refused, train, name, log):
    path = trained / f"runs/grpo/{log}.jsonl"
    complete = path.read_bytes()
    path.write_bytes(complete + LINES[name] + b"\n")
    number = len(complete.splitlines()) + 1
    assert f"{log}.jsonl:{number}: " in refused(*train, "--resume", cwd=trained)


def test_a_score_of_a_rollout_that_is_not_there(trained, scribe, train):
    """It scores nothing that is learnt from."""
    with (trained / "runs/grpo/scores.jsonl").open("a") as file:
        file.write('{"step": 9, "score": {"id": "step-9/x/0"}}\n')
    assert scribe(*train, "--resume", cwd=trained).returncode == 0


@pytest.fixture(scope="module")
def half_scored(tmp_path_factory, warm, scribe, train):
    """A folder with a run that was killed while it wrote scores."""
    folder = shutil.copytree(warm, tmp_path_factory.mktemp("half_scored") / "workplace")
    killed = scribe(*train, cwd=folder, kill=("scribe_core.runs:RunFolder.log_score", 3))
    assert killed.returncode < 0
    return folder


@pytest.mark.parametrize(
    ("key", "value"),
    [("reward", "high"), ("reward", True), ("subgoals", [{}]), ("subgoals", 5), ("process", [])],
)
def test_logged_scores(half_scored, tmp_path, refused, train, key, value):
    """What a resumed run would learn from."""
    folder = shutil.copytree(half_scored, tmp_path / "workplace")
    path = folder / "runs/grpo/scores.jsonl"
    first, *rest = path.read_text().splitlines()
    record = json.loads(first)
    record["score"][key] = value
    path.write_text("\n".join([json.dumps(record), *rest, ""]))
    assert "scores.jsonl:1: score" in refused(*train, "--resume", cwd=folder)


@pytest.mark.parametrize("content", [b"", b"\n \n\n"], ids=["empty", "blank"])
def test_trajectory_files_without_any(workplace, refused, content):
    (workplace / "played.jsonl").write_bytes(content)
    shown = refused("score", "played.jsonl", "--config", "base.toml", cwd=workplace)
    assert shown == "played.jsonl: holds no trajectories"


def test_trajectory_lines(workplace, scribe):
    """A bad line is told in its place, and the rest is scored."""
    good = {"id": "good", "messages": [{"role": "user", "content": "Spell a."}, {"role": "assistant"}]}
    bad = [
        b"{",
        b"\xff",
        b"null",
        b'{"id": 5, "messages": []}',
        b'{"id": "x", "messages": {}}',
        b'{"id": "x", "messages": [], "outcome": Infinity}',
        b'{"id": "x", "messages": [], "outcome": 2}',
        b'{"id": "x", "id": "y", "messages": []}',
        b'{"id": "x", "messages": [{"role": "assistant", "tool_calls": 5}]}',
        b'{"id": "x", "messages": ' + b"[" * 100_000,
    ]
    content = json.dumps(good).encode() + b"\n" + b"\n".join(bad) + b"\n" + json.dumps(good).encode()
    (workplace / "played.jsonl").write_bytes(content)
    done = scribe("score", "played.jsonl", "--config", "base.toml", cwd=workplace)
    assert (done.returncode, done.stderr) == (1, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row.get("line") for row in rows] == [None, *range(2, 2 + len(bad)), None]
    assert rows[0] == rows[-1]
    assert rows[0]["process"] is not None
