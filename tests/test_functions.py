"""The environment of plain functions: prompts, tools and a reward function."""

import asyncio
import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribe_core.builtin.functions import FunctionEnvironment
from scribe_core.builtin.prompts import read_prompts, split_of
from scribe_core.errors import ConfigError, DataError, RunError
from scribe_core.registry import Registry
from scribe_core.structuring import structure_part, unstructure
from scribe_core.types import Message, Task, ToolCall

USER = Message(role="user", content="What is 2 + 2?")


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


def four(completion: str) -> bool:
    return completion == "4"


def environment(prompts: Any = ("What is 2 + 2?",), reward: Any = four, **options: Any) -> Any:
    return FunctionEnvironment(prompts=prompts, reward=reward, **options).build()


def only_task(prompt: Any) -> Task:
    return next(task for tasks in read_prompts([prompt]).values() for task in tasks)


def outcome(reward: Any, prompt: Any = "What is 2 + 2?", completion: str = "4") -> float | None:
    task = only_task(prompt)
    session = environment([prompt], reward).open(task)
    messages = (*task.messages, Message(role="assistant", content=completion))
    return asyncio.run(session.outcome(messages))


class TestPrompts:
    def test_a_text_is_a_task(self):
        task = only_task("What is 2 + 2?")
        assert task.messages == (USER,)
        assert (task.demonstration, task.metadata) == ((), {})
        assert len(task.id) == 16

    def test_a_table_says_more(self):
        task = only_task(
            {
                "id": 7,
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "What is 2 + 2?"},
                ],
                "demonstration": "4",
                "answer": 4,
                "metadata": {"source": "made up"},
            }
        )
        assert task.id == "7"
        assert task.messages == (Message(role="system", content="Be brief."), USER)
        assert task.demonstration == (Message(role="assistant", content="4"),)
        assert task.metadata == {"answer": 4, "source": "made up"}

    def test_a_demonstration_may_hold_calls(self):
        call = {
            "role": "assistant",
            "tool_calls": [{"function": {"name": "add", "arguments": '{"a": 2, "b": 2}'}}],
        }
        task = only_task({"prompt": "2 + 2?", "demonstration": [call, {"role": "assistant", "content": "4"}]})
        assert task.demonstration[0].tool_calls == (ToolCall(name="add", arguments={"a": 2, "b": 2}),)

    def test_splits_are_about_80_10_10_and_keep_the_order(self):
        splits = read_prompts([f"prompt {n}" for n in range(2000)])
        assert list(splits) == ["train", "validation", "test"]
        sizes = {name: len(tasks) for name, tasks in splits.items()}
        assert sum(sizes.values()) == 2000
        assert 1540 < sizes["train"] < 1660
        assert 140 < sizes["validation"] < 260
        for tasks in splits.values():
            numbers = [int(task.messages[0].content.split()[1]) for task in tasks]
            assert numbers == sorted(numbers)

    @given(st.lists(st.text(min_size=1).filter(str.strip), unique=True, min_size=1), st.randoms())
    def test_a_split_depends_on_nothing_but_the_prompt(self, prompts: list[str], random: Any):
        shuffled = random.sample(prompts, len(prompts))
        there, back = read_prompts(prompts), read_prompts(shuffled)
        for name in there:
            assert {task.id for task in there[name]} == {task.id for task in back[name]}
            assert {split_of(task.id) for task in there[name]} <= {name}

    def test_splits_that_are_given_are_kept(self):
        splits = read_prompts([{"prompt": "a", "split": "dev"}, {"prompt": "b", "split": "train"}])
        assert {name: [task.messages[0].content for task in tasks] for name, tasks in splits.items()} == {
            "dev": ["a"],
            "train": ["b"],
        }

    def test_any_iterable_will_do(self):
        assert Counter(len(tasks) for tasks in read_prompts(iter(["a"])).values()) == {0: 2, 1: 1}

    @pytest.mark.parametrize(
        ("prompts", "problem"),
        [
            ([], "holds no prompts"),
            ([""], "prompts[0].prompt: it is empty"),
            (["a", "  "], "prompts[1].prompt: it is empty"),
            ([3], "prompts[0]: a prompt is a text or a table; got int"),
            ([None], "a prompt is a text or a table; got NoneType"),
            ([{}], "a prompt needs either `prompt` or `messages`"),
            ([{"prompt": "a", "messages": []}], "a prompt needs either `prompt` or `messages`"),
            ([{"prompt": ["a"]}], "prompts[0].prompt: expected a text; got ['a'] (list)"),
            ([{"prompt": None}], "prompts[0].prompt: expected a text"),
            ([{"messages": []}], "prompts[0].messages: expected a text or chat messages; got [] (list)"),
            ([{"messages": [{"role": "king"}]}], "prompts[0].messages: messages[0].role: 'king' is no role"),
            ([{"messages": 3}], "prompts[0].messages: "),
            ([{"prompt": "a", "demonstration": ""}], "prompts[0].demonstration: it is empty"),
            ([{"prompt": "a", "demonstration": [1]}], "prompts[0].demonstration: messages[0]"),
            ([{"prompt": "a", "id": ""}], "prompts[0].id: '' is no id"),
            ([{"prompt": "a", "id": True}], "prompts[0].id: True (bool) is no id"),
            ([{"prompt": "a", "id": None}], "prompts[0].id: None (NoneType) is no id"),
            ([{"prompt": "a", "split": ""}], "prompts[0].split: '' is no split"),
            ([{"prompt": "a", "split": 1}], "prompts[0].split: 1 (int) is no split"),
            ([{"prompt": "a", "metadata": []}], "prompts[0].metadata: expected a table; got list"),
            ([{"prompt": "a", "extra": object()}], "prompts[0]: it is not plain JSON"),
            (["a", "a"], "prompts[1]: the id "),
            ([{"prompt": "a", "id": 1}, {"prompt": "b", "id": "1"}], "prompts[1]: the id '1' is taken"),
            (
                [{"prompt": "a", "id": "x", "split": "train"}, {"prompt": "b", "id": "y"}],
                "'y' has no `split`",
            ),
        ],
    )
    def test_malformed_prompts_are_data_errors(self, prompts: Any, problem: str):
        with pytest.raises(DataError) as caught:
            read_prompts(prompts)
        assert problem in str(caught.value)
        assert len(str(caught.value)) < 400

    def test_an_object_needs_an_id_to_be_metadata(self):
        thing = object()
        assert only_task({"prompt": "a", "id": "x", "thing": thing}).metadata == {"thing": thing}


class TestFiles:
    def test_jsonl_holds_a_prompt_a_line(self, tmp_path: Path):
        lines = [json.dumps("2 + 2?"), "", json.dumps({"prompt": "3 + 3?", "answer": 6}), ""]
        path = tmp_path / "prompts.jsonl"
        path.write_text("\ufeff" + "\r\n".join(lines), "utf-8")
        tasks = [task for split in read_prompts(str(path)).values() for task in split]
        assert {task.messages[0].content: task.metadata for task in tasks} == {
            "2 + 2?": {},
            "3 + 3?": {"answer": 6},
        }

    def test_txt_holds_a_text_a_line(self, tmp_path: Path):
        path = tmp_path / "prompts.txt"
        path.write_text("first\n\n  second \n", "utf-8")
        tasks = [task for split in read_prompts(str(path)).values() for task in split]
        assert sorted(task.messages[0].content for task in tasks) == ["first", "second"]

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"", "holds no prompts"),
            (b"\n \n", "holds no prompts"),
            (b'{"prompt": "a"', "p.jsonl:1: not JSON"),
            (b'"a"\n{"prompt": NaN}', "p.jsonl:2: not JSON: NaN"),
            (b'{"prompt": "a", "prompt": "b"}', "'prompt' appears twice"),
            (b'{"prompt": "\\ud800"}', "half a surrogate pair"),
            (b"[" * 100_000, "nested too deeply"),
            (b'"caf\xe9"', "is not UTF-8 (byte 4)"),
            (b"17", "p.jsonl:1: a prompt is a text or a table; got int"),
        ],
    )
    def test_malformed_lines_are_data_errors(self, content: bytes, problem: str, tmp_path: Path):
        path = tmp_path / "p.jsonl"
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            read_prompts(str(path))
        assert problem in str(caught.value)

    @pytest.mark.parametrize("path", ["no such file.jsonl", "no\x00file.txt", "folder.txt"])
    def test_unreadable_files_are_config_errors(self, path: str, tmp_path: Path):
        (tmp_path / "folder.txt").mkdir()
        with pytest.raises(ConfigError, match="cannot be read"):
            read_prompts(str(tmp_path / path))

    @pytest.mark.parametrize(
        ("value", "problem"),
        [("'text'", "must be a list"), ("3", "must be a list"), ("(1/0 for _ in 'a')", "ZeroDiv")],
    )
    def test_a_reference_must_be_to_prompts(
        self, value: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        (tmp_path / "prompts_here.py").write_text(f"PROMPTS = {value}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(__import__("sys").modules, "prompts_here", raising=False)
        with pytest.raises(ConfigError, match=problem):
            read_prompts("prompts_here:PROMPTS")


class TestReward:
    def test_asks_for_what_it_needs_by_name(self):
        seen = {}

        def reward(completion, messages, prompt, task, metadata, answer, source="nowhere"):
            seen.update(locals())
            return 1

        assert outcome(reward, {"id": "t", "prompt": "2 + 2?", "answer": 4}) == 1.0
        assert seen["completion"] == "4"
        assert [message.role for message in seen["messages"]] == ["user", "assistant"]
        assert (seen["prompt"], seen["answer"], seen["source"]) == ("2 + 2?", 4, "nowhere")
        assert seen["task"].id == "t"
        assert seen["metadata"] == {"answer": 4}

    def test_keywords_take_everything(self):
        def reward(**given):
            return sorted(given) == ["answer", "completion", "messages", "metadata", "prompt", "task"]

        assert outcome(reward, {"prompt": "2 + 2?", "answer": 4}) == 1.0

    def test_may_be_async(self):
        async def reward(completion):
            await asyncio.sleep(0)
            return completion == "4"

        assert outcome(reward) == 1.0
        assert outcome(reward, completion="5") == 0.0

    @pytest.mark.parametrize(
        ("result", "expected"),
        [(True, 1.0), (False, 0.0), (None, None), (0, 0.0), (1, 1.0), (0.25, 0.25), (Fraction(1, 2), 0.5)],
    )
    def test_gives_a_number_a_bool_or_none(self, result: Any, expected: float | None):
        found = outcome(lambda: result)
        assert found == expected
        assert type(found) is type(expected)

    @pytest.mark.parametrize(
        "result", [float("nan"), float("inf"), -0.1, 1.5, 10**400, "0.5", b"1", [1], 1j, object()]
    )
    def test_anything_else_is_a_run_error(self, result: Any):
        def grade(completion):
            return result

        with pytest.raises(RunError) as caught:
            outcome(grade, {"id": "t", "prompt": "2 + 2?"})
        message = str(caught.value)
        assert "grade, task 't': it returned " in message
        assert "it must return a number in [0, 1], a bool or None" in message

    @pytest.mark.parametrize("kind", [ValueError, StopIteration, SystemExit, RecursionError])
    def test_an_exception_is_a_run_error(self, kind: type[BaseException]):
        def grade(completion):
            raise kind("no")

        with pytest.raises(
            RunError, match=r"grade, task 't': it failed with .*; fix it, or let it return None"
        ):
            outcome(grade, {"id": "t", "prompt": "2 + 2?"})

    def test_a_conversation_without_an_answer_has_no_completion(self):
        session = environment(reward=lambda completion: completion == "").open(only_task("2?"))
        assert asyncio.run(session.outcome([])) == 1.0

    @pytest.mark.parametrize(
        ("reward", "problem"),
        [
            (lambda anwser: 1, "asks for 'anwser', which task 't' does not have; did you mean 'answer'?"),
            (lambda completion, gold: 1, "asks for 'gold'"),
            (lambda *messages: 1, r"asks for '*messages'"),
            (lambda completion, /: 1, "asks for 'completion'"),
            (dict, "has no readable signature"),
            ("json:no_such", "reward: 'json' has no 'no_such'"),
            ("json:__name__", "is not a function"),
            (3, "is not a function"),
        ],
    )
    def test_what_cannot_be_called_is_a_config_error(self, reward: Any, problem: str):
        with pytest.raises(ConfigError) as caught:
            environment([{"id": "t", "prompt": "a", "answer": 4}], reward)
        assert problem in str(caught.value)

    def test_every_task_must_have_what_it_asks_for(self):
        with pytest.raises(ConfigError, match="which task 'u' does not have"):
            environment(
                [{"id": "t", "prompt": "a", "answer": 4}, {"id": "u", "prompt": "b"}], lambda answer: 1
            )


class TestSession:
    def test_answers_calls_until_there_are_none(self):
        session = environment(tools=[add]).open(only_task("a"))
        assert [tool.name for tool in session.tools] == ["add"]
        call = ToolCall(name="add", arguments={"a": 2, "b": 2}, id="1")
        answers = asyncio.run(session.respond(Message(role="assistant", tool_calls=(call,))))
        assert answers == [Message(role="tool", content="4", tool_call_id="1", name="add")]
        assert not asyncio.run(session.respond(Message(role="assistant", content="4")))

    def test_a_slow_tool_is_an_error_for_the_policy(self):
        async def hang() -> None:
            await asyncio.Event().wait()

        session = environment(tools=[hang], tool_timeout=0.01).open(only_task("a"))
        answers = asyncio.run(session.respond(Message(role="assistant", tool_calls=(ToolCall(name="hang"),))))
        assert answers[0].content == "Error: timed out after 0.01 seconds"

    def test_is_used_once(self):
        env = environment()
        session = env.open(only_task("a"))
        assert asyncio.run(session.outcome([Message(role="assistant", content="4")])) == 1.0
        for use in (session.outcome([]), session.respond(Message(role="assistant"))):
            with pytest.raises(RunError, match="is over; open a new one"):
                asyncio.run(use)
        assert asyncio.run(env.open(only_task("a")).outcome([])) == 0.0

    def test_a_broken_reward_ends_the_session_too(self):
        session = environment(reward=lambda: "high").open(only_task("a"))
        with pytest.raises(RunError, match="it returned"):
            asyncio.run(session.outcome([]))
        with pytest.raises(RunError, match="is over"):
            asyncio.run(session.outcome([]))


class TestBuilder:
    def test_unknown_split_names_the_choices(self):
        with pytest.raises(
            ConfigError, match=r"no split 'tran'; did you mean 'train'\? \(choices: test, train, valid"
        ):
            environment().tasks("tran")

    def test_tools_with_one_name_are_a_config_error(self):
        with pytest.raises(ConfigError, match="two tools are named 'add'"):
            environment(tools=[add, add])

    @pytest.mark.parametrize(
        ("tool", "problem"), [(3, "neither a function nor a tool"), ("x", r"tools\[0\]: 'x' is not")]
    )
    def test_other_tools_are_config_errors(self, tool: Any, problem: str):
        with pytest.raises(ConfigError, match=problem):
            environment(tools=[tool])

    def test_tool_timeout_is_positive(self):
        with pytest.raises(ValueError, match="tool_timeout"):
            environment(tool_timeout=0)

    def test_prompts_may_stand_in_the_config(self):
        table = {
            "use": "functions",
            "prompts": [{"prompt": "2 + 2?", "answer": 4, "split": "train"}],
            "reward": "math:isclose",
        }
        registry = Registry.installed()
        builder = structure_part("environments", table, "environment", registry)
        assert builder.prompts == ({"prompt": "2 + 2?", "answer": 4, "split": "train"},)
        again = unstructure(builder, registry, "environments")
        assert structure_part("environments", again, "environment", registry) == builder

    def test_functions_given_in_python_are_named_in_the_manifest(self):
        builder = FunctionEnvironment(prompts=["a"], reward=four, tools=[add])
        table = unstructure(builder, Registry.installed(), "environments")
        assert table == {
            "use": "functions",
            "prompts": ["a"],
            "reward": f"{__name__}:four",
            "tools": [f"{__name__}:add"],
            "tool_timeout": 60.0,
        }
