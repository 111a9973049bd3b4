"""Options, splits, tasks and demonstrations; a wheel that is missing or damaged."""

import asyncio
import json
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator
from scribe_env_bfcl import BFCL
from scribe_env_bfcl.data import CATEGORIES, read_category
from scribe_env_bfcl.environment import split_of
from scribe_env_bfcl.plugin import scribe_environments
from scribe_env_bfcl.schema import json_schema

from scribe_core.errors import ConfigError, DataError
from scribe_core.types import Message, Task, ToolCall

SPLITS = ("train", "validation", "test")
SIZES = {
    "simple_python": 400,
    "multiple": 200,
    "parallel": 200,
    "parallel_multiple": 200,
    "irrelevance": 240,
    "live_simple": 258,
    "live_multiple": 1053,
    "live_parallel": 16,
    "live_parallel_multiple": 24,
    "live_irrelevance": 884,
    "live_relevance": 16,
}
NO_ANSWER_IS_ACCEPTED = {
    "live_simple_106-63-0",
    "live_simple_112-68-0",
    "live_multiple_862-181-3",
    "live_multiple_964-207-0",
}


def test_the_hook_yields_the_builder():
    assert list(scribe_environments()) == [BFCL]
    assert BFCL.name == "bfcl"


def test_the_hook_module_imports_nothing_but_the_hook():
    code = "import sys, scribe_env_bfcl.plugin; print(sorted(m for m in sys.modules if m.startswith('scribe_env_bfcl')))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "['scribe_env_bfcl', 'scribe_env_bfcl.plugin']"


def test_every_category_is_whole(all_tasks):
    counts = dict.fromkeys(CATEGORIES, 0)
    for task in all_tasks:
        counts[task.metadata["category"]] += 1
    assert counts == SIZES


def test_splits_are_disjoint_and_have_their_sizes(everything):
    ids = {split: {task.id for task in everything.tasks(split)} for split in SPLITS}
    assert {split: len(ids[split]) for split in SPLITS} == {"train": 2120, "validation": 338, "test": 1033}
    assert len(ids["train"] | ids["validation"] | ids["test"]) == sum(SIZES.values())


@pytest.mark.parametrize(
    ("task_id", "split"),
    [("simple_python_0", "train"), ("multiple_0", "test"), ("simple_python_36", "validation")],
)
def test_the_split_of_an_id_never_changes(task_id, split):
    assert split_of(task_id) == split


def test_the_default_is_simple_python_with_its_split_sizes():
    environment = BFCL().build()
    assert [len(environment.tasks(split)) for split in SPLITS] == [237, 42, 121]


def test_split_and_order_do_not_depend_on_the_categories(everything):
    few = BFCL(categories=("parallel", "simple_python", "parallel")).build()
    for split in SPLITS:
        expected = [
            t for t in everything.tasks(split) if t.metadata["category"] in ("parallel", "simple_python")
        ]
        assert list(few.tasks(split)) == expected


def test_a_prefix_of_a_split_mixes_the_categories(everything):
    prefix = everything.tasks("train")[:60]
    assert len({task.metadata["category"] for task in prefix}) >= 6


def test_a_task_is_the_question_as_asked(all_tasks):
    task = next(task for task in all_tasks if task.id == "simple_python_0")
    (message,) = task.messages
    assert message.role == "user"
    assert message.content.startswith("Find the area of a triangle")
    (call,) = task.demonstration[0].tool_calls
    assert call == ToolCall(
        name="calculate_triangle_area", arguments={"base": 10, "height": 5, "unit": "units"}
    )


def test_a_system_prompt_and_earlier_turns_stay(all_tasks):
    roles = {tuple(message.role for message in task.messages) for task in all_tasks}
    assert {("user",), ("system", "user"), ("user", "assistant", "user")} <= roles


def test_which_tasks_have_no_demonstration(all_tasks):
    without = {task.id for task in all_tasks if not task.demonstration}
    relevance = {task.id for task in all_tasks if task.metadata["category"] == "live_relevance"}
    assert without == relevance | NO_ANSWER_IS_ACCEPTED


def test_every_demonstration_succeeds_and_only_irrelevance_declines(everything, all_tasks):
    async def outcomes():
        tasks = [task for task in all_tasks if task.demonstration]
        return [
            (task, await everything.open(task).outcome(task.messages + task.demonstration)) for task in tasks
        ]

    for task, outcome in asyncio.run(outcomes()):
        (message,) = task.demonstration
        assert (task.id, outcome) == (task.id, 1.0)
        assert message.role == "assistant"
        assert bool(message.content) is ("irrelevance" in task.metadata["category"])
        assert bool(message.tool_calls) is not bool(message.content)


@pytest.mark.parametrize(
    ("task_id", "arguments"),
    [
        # Optional and not asked for ("" comes first), so left out.
        ("simple_python_14", {"function": "3x**2 + 2x - 1", "x_value": ...}),
        # Required, though marked as optional: the first real value.
        ("simple_python_200", {"fuel_efficiency": 25.0}),
        # The acceptable values of each key of a dictionary.
        (
            "simple_python_260",
            {"area": {"width": 20, "height": 12}, "exclusion": {"type": "window", "area": 15}},
        ),
    ],
)
def test_demonstrations_take_the_first_acceptable_value(all_tasks, task_id, arguments):
    task = next(task for task in all_tasks if task.id == task_id)
    (call,) = task.demonstration[0].tool_calls
    for name, value in arguments.items():
        assert call.arguments.get(name, ...) == value


def test_all_tools_are_json_schema_without_foreign_types(everything, all_tasks):
    allowed = {None, "object", "number", "array", "string", "integer", "boolean"}
    tools = [tool for task in all_tasks for tool in everything.open(task).tools]
    distinct = {json.dumps(tool.parameters, allow_nan=False): tool.parameters for tool in tools}
    assert len(distinct) > 1_000
    for parameters in distinct.values():
        assert set(_types(parameters)) <= allowed
    for parameters in list(distinct.values())[::10]:
        Draft202012Validator.check_schema(parameters)


def _types(schema):
    yield schema.get("type")
    for inner in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
        yield from _types(inner)


def test_nearly_all_demonstrations_fit_their_schema(everything, all_tasks):
    misfits = []
    for task in all_tasks:
        tools = {tool.name: tool for tool in everything.open(task).tools}
        calls = [call for message in task.demonstration for call in message.tool_calls]
        if not all(Draft202012Validator(tools[c.name].parameters).is_valid(c.arguments) for c in calls):
            misfits.append(task.id)
    assert len(misfits) == 16, "answers that contradict their own function docs, in bfcl-eval 2026.3.23"


def test_names_with_dots_stay(everything, all_tasks):
    names = {tool.name for task in all_tasks for tool in everything.open(task).tools}
    assert "math.factorial" in names


def test_types_are_translated_all_the_way_down():
    declared = {
        "type": "dict",
        "properties": {
            "type": {"type": "float", "default": 0.5},
            "point": {"type": "tuple", "items": {"type": "float"}},
            "anything": {"type": "any", "description": "d", "optional": True},
            "days": {"type": "array", "items": {"type": "string"}, "enum": ["mon", "tue"]},
            "rows": {"type": "array", "items": {"type": "dict", "properties": {"x": {"type": "float"}}}},
        },
        "required": ["point"],
    }
    assert json_schema(declared) == {
        "type": "object",
        "properties": {
            "type": {"type": "number", "default": 0.5},
            "point": {"type": "array", "items": {"type": "number"}},
            "anything": {"description": "d"},
            "days": {"type": "array", "items": {"type": "string", "enum": ["mon", "tue"]}},
            "rows": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number"}}}},
        },
        "required": ["point"],
    }


def test_long_tools_can_be_left_out(everything):
    short = BFCL(categories=CATEGORIES, max_tools_chars=2000).build()
    kept, all_of_them = short.tasks("test"), everything.tasks("test")
    assert 0 < len(kept) < len(all_of_them)
    kept_ids = {task.id for task in kept}
    assert [task for task in all_of_them if task.id in kept_ids] == list(kept)
    lengths = [len(json.dumps([t.parameters for t in short.open(task).tools])) for task in kept]
    assert max(lengths) <= 2000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"categories": ("simple_pyton",)},
            ["'simple_pyton'", "did you mean 'simple_python'?", "live_relevance"],
        ),
        ({"categories": ("simple_java",)}, ["'simple_java'", "choices:"]),
        ({"categories": ()}, ["categories is empty", "simple_python"]),
        ({"max_tools_chars": 0}, ["max_tools_chars must be positive; got 0"]),
    ],
)
def test_wrong_options_are_named_at_build(options, words):
    with pytest.raises(ConfigError) as caught:
        BFCL(**options).build()
    assert all(word in str(caught.value) for word in words)


def test_an_unknown_split_lists_the_choices(everything):
    with pytest.raises(ConfigError, match=r"'dev'.*choices: test, train, validation"):
        everything.tasks("dev")


def test_a_foreign_task_cannot_be_opened(everything):
    with pytest.raises(ConfigError, match="'gsm8k_1'"):
        everything.open(Task(id="gsm8k_1", messages=(Message(role="user", content="2+2?"),)))


def test_without_the_wheel_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "bfcl_eval", None)
    with pytest.raises(ConfigError, match="pip install --no-deps bfcl-eval"):
        BFCL().build()


GOOD = '{"id": "a", "question": [[{"role": "user", "content": "hi"}]], "function": []}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", ["cannot be read"]),
        (b"{", ["line 1", "not JSON"]),
        (GOOD.encode() + b'\n{"id": "b"}', ["line 2", "question"]),
        (b"[" * 100_000, ["line 1", "not JSON"]),
        (b'{"id": "a", "question": [[], []], "function": []}', ["'a'", "single-turn"]),
        (b'{"id": "a", "question": [[{"role": "user"}]], "function": []}', ["'a'", "single-turn"]),
        (b'{"id": "a", "question": 3, "function": []}', ["'a'", "single-turn"]),
        (GOOD.replace("[]", '[{"name": "f"}]').encode(), ["'a'", "single-turn"]),
        (GOOD.replace("[]", "[7]").encode(), ["'a'", "single-turn"]),
    ],
)
def test_a_damaged_wheel_is_one_clear_error(tmp_path, content, words):
    (tmp_path / "BFCL_v4_irrelevance.json").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_category(tmp_path, "irrelevance")
    assert all(word in str(caught.value) for word in [*words, "--force-reinstall"])


def test_questions_without_answers_are_a_damaged_wheel(tmp_path):
    (tmp_path / "possible_answer").mkdir()
    (tmp_path / "BFCL_v4_multiple.json").write_text(GOOD)
    (tmp_path / "possible_answer" / "BFCL_v4_multiple.json").write_text("")
    with pytest.raises(DataError, match="'a' has no acceptable answers"):
        read_category(tmp_path, "multiple")
    for answer in ('[{"f": {"x": 1}}]', '[{"f": {}, "g": {}}]', "[[]]", "3"):
        row = f'{{"id": "a", "ground_truth": {answer}}}'
        (tmp_path / "possible_answer" / "BFCL_v4_multiple.json").write_text(row)
        with pytest.raises(DataError, match="'a' is not a single-turn question"):
            read_category(tmp_path, "multiple")
    with pytest.raises(DataError, match="cannot be read"):
        read_category(tmp_path, "parallel")
