"""A memory of replies: what is the same question, what is kept, and what many processes, kills and broken files do to it."""

import asyncio
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve, field, frozen
from structlog.testing import capture_logs

from scribe_core import aio
from scribe_core.builtin.cached import Cached
from scribe_core.builtin.panel import JudgePanel, Panel, Seat
from scribe_core.builtin.programs_judge import ProgramsJudge
from scribe_core.config import Config
from scribe_core.errors import ConfigError
from scribe_core.judging import CallError, Endpoint, ModelJudge, Prompt, Question, Reply, prompts
from scribe_core.judging.cache import ReplyCache
from scribe_core.judging.progress import Progress
from scribe_core.protocols import Judge, JudgeRequest
from scribe_core.skills import Check, Prototype
from scribe_core.skills.content import digest_of
from scribe_core.testing import ScriptedEndpoint, sample_prototype, sample_subgoal, sample_trajectory
from scribe_core.types import Answer, Finding, Json, Span, Subgoal, Usage, Verdict

PRICE = Usage(calls=1, prompt_tokens=900, completion_tokens=40, usd=0.001)


def passes(prompt: Prompt, sample: int) -> Reply:
    return Reply(text=answering(prompt, 0), usage=PRICE, revision="fp_1")


def answering(prompt: Prompt, index: int) -> str:
    return json.dumps({q.id: {"reason": "So.", "answer": q.answers[index]} for q in prompt.questions})


def finds(answer: Answer, subgoal: Subgoal) -> Finding:
    return Finding(answer=answer)


def judge(endpoint: Endpoint, path: Path, **changes: Any) -> ModelJudge:
    return ModelJudge(endpoint=endpoint, **changes).remembering(ReplyCache(str(path)))


def request(**changes: Any) -> JudgeRequest:
    prototype = with_digest(sample_prototype(failure_modes=()))
    return evolve(JudgeRequest(subgoal=sample_subgoal(), prototype=prototype), **changes)


def with_digest(prototype: Prototype) -> Prototype:
    return evolve(prototype, digest=digest_of(prototype))


def judged(judge: Judge, *requests: JudgeRequest) -> list[Verdict]:
    return aio.run(_judged(judge, requests))


async def _judged(judge: Judge, requests: tuple[JudgeRequest, ...]) -> list[Verdict]:
    return await judge.judge(requests)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "judge.sqlite"


class TestWhatIsRemembered:
    def test_a_hit_costs_no_call(self, path):
        first, again = ScriptedEndpoint(passes), ScriptedEndpoint(passes)
        (asked,) = judged(judge(first, path), request())
        (hit,) = judged(judge(again, path), request())
        assert (asked.status, asked.score, asked.cached, asked.usage) == ("scored", 3.0, False, PRICE)
        assert hit == evolve(asked, cached=True, usage=Usage())
        assert (len(first.asked), len(again.asked)) == (1, 0)

    def test_ten_samples_are_ten_draws(self, path):
        endpoint = ScriptedEndpoint(lambda prompt, sample: answering(prompt, sample % 2))
        for _ in range(2):
            found = judged(judge(endpoint, path), *(request(sample=i) for i in range(10)))
            assert [each.score for each in found] == [3.0, 0.0] * 5
        assert sorted(sample for _, sample in endpoint.asked) == [*range(10)]

    def test_the_reply_is_kept_and_judged_anew(self, path):
        checks = tuple(
            Check(id=f"c{i}", question="?", caps=2 * i, program=p) for i, p in enumerate((None, "p"))
        )
        asked = request(prototype=sample_prototype(checks=checks, failure_modes=()))
        endpoint = ScriptedEndpoint(passes)
        found = [
            judged(judge(endpoint, path, programs={"p": partial(finds, answer)}), asked)[0]
            for answer in ("pass", "fail")
        ]
        assert [(each.score, each.cached) for each in found] == [(3.0, False), (2.0, True)]

    @pytest.mark.parametrize("text", ["\ud800 \x00 \u2028", "x" * 3_000_000, "'); DROP TABLE replies; --"])
    def test_any_text_and_revision_come_back(self, path, text):
        said = Reply(text=text, usage=PRICE, revision=text[:500])
        found = [aio.run(reply(ReplyCache(str(path)), said)) for _ in range(2)]
        assert [remembered for _, remembered in found] == [False, True]
        assert (found[1][0].text, found[1][0].usage) == (text, PRICE)

    @pytest.mark.parametrize(
        "script",
        [
            "I would rather not say.",
            lambda *_: Reply(text="No.", refused=True),
            lambda prompt, _: Reply(text=answering(prompt, 0), refused=True),
        ],
    )
    def test_what_cannot_be_read_or_was_refused_is_not_kept(self, path, script):
        assert judged(judge(ScriptedEndpoint(script), path), request())[0].status == "abstained"
        endpoint = ScriptedEndpoint(passes)
        assert judged(judge(endpoint, path), request())[0].score == 3.0
        assert len(endpoint.asked) == 1

    def test_a_failure_is_not_kept(self, path):
        def fails(prompt: Prompt, sample: int) -> Reply:
            raise CallError("the endpoint is down", PRICE)

        (failed,) = judged(judge(ScriptedEndpoint(fails), path), request())
        assert (failed.status, failed.usage, failed.cached) == ("failed", PRICE, False)
        assert "the endpoint is down" in failed.reason
        assert judged(judge(ScriptedEndpoint(passes), path), request())[0].score == 3.0

    def test_a_kept_reply_that_can_no_longer_be_read_is_asked_for_again(self, path):
        cache = ReplyCache(str(path))
        aio.run(reply(cache, Reply(text="old form")))
        found = aio.run(reply(cache, Reply(text="new form"), worth_keeping=lambda r: r.text == "new form"))
        assert found == (Reply(text="new form"), False)

    def test_the_file_holds_neither_prompt_nor_key(self, path, monkeypatch):
        monkeypatch.setenv("SOME_API_KEY", "sk-very-secret")
        endpoint = ScriptedEndpoint(passes, identity={"judge": "x", "endpoint": "https://judge.example"})
        judged(judge(endpoint, path), request())
        stored = b"".join(each.read_bytes() for each in path.parent.iterdir())
        for private in (b"sk-very-secret", b"judge.example", b"Paris", b"right tool"):
            assert private not in stored


def parts_of(asked: Json, found: str = "") -> list[str]:
    """The path of every value in an identity, such as "endpoint.sampling.seed"."""
    if not isinstance(asked, dict) or not asked:
        return [found]
    return [path for key, value in asked.items() for path in parts_of(value, f"{found}.{key}".lstrip("."))]


def changed(asked: Any, path: str) -> Any:
    key, _, rest = path.partition(".")
    value = asked[key]
    other = changed(value, rest) if rest else f"{value} or another"
    return {**asked, key: other}


IDENTITY = {
    "judge": "openai",
    "endpoint": "http://127.0.0.1:8000/v1",
    "model": "m",
    "sampling": {"temperature": 0.0, "top_p": 1.0, "max_tokens": 400, "seed": 1},
}
PROMPT = Prompt(
    system="Grade.", user="| Paris", questions=(), schema={"type": "object"}, template="t-1", fence="f"
)
ASKED: Json = ModelJudge(endpoint=ScriptedEndpoint("", identity=IDENTITY)).identify(request(), PROMPT)
PARTS = parts_of(ASKED)


async def reply(
    cache: ReplyCache,
    said: Reply | None,
    asked: Json = ASKED,
    worth_keeping: Callable[[Reply], bool] = lambda _: True,
) -> tuple[Reply, bool]:
    async def ask() -> Reply:
        assert said is not None, "it is not known"
        return said

    return await cache.reply(asked, ask, worth_keeping)


class TestIdentity:
    def test_it_has_these_parts(self):
        assert {*PARTS} == {
            *("endpoint.judge", "endpoint.endpoint", "endpoint.model", "endpoint.sampling.temperature"),
            *("endpoint.sampling.top_p", "endpoint.sampling.max_tokens", "endpoint.sampling.seed"),
            *("prompt.system", "prompt.user", "prompt.schema.type", "prompt.template"),
            *("mode", "prototype", "sample"),
        }

    @pytest.mark.parametrize("part", PARTS)
    def test_a_change_in_one_part_misses(self, path, part):
        cache = ReplyCache(str(path))
        aio.run(reply(cache, Reply(text="first")))
        other = changed(ASKED, part)
        assert aio.run(reply(cache, Reply(text="second"), other)) == (Reply(text="second"), False)
        assert aio.run(reply(cache, None))[0].text == "first"
        assert aio.run(reply(cache, None, other))[0].text == "second"

    @pytest.mark.parametrize(
        "change",
        [
            lambda judge, request: (evolve(judge, mode="holistic"), request),
            lambda judge, request: (judge, evolve(request, sample=1)),
            lambda judge, request: (
                judge,
                evolve(request, subgoal=sample_subgoal(span=Span((2, 0), (4, 0)))),
            ),
            lambda judge, request: (
                judge,
                evolve(request, subgoal=sample_subgoal(sample_trajectory(tools=()))),
            ),
            lambda judge, request: (
                judge,
                evolve(request, prototype=with_digest(evolve(request.prototype, version=2))),
            ),
            lambda judge, request: (
                evolve(judge, endpoint=evolve(judge.endpoint, identity={"model": "another"})),
                request,
            ),
        ],
        ids=["mode", "sample", "span", "context", "prototype", "endpoint"],
    )
    def test_a_judge_asks_again_where_something_changed(self, path, change):
        endpoint = ScriptedEndpoint(lambda prompt, _: json.dumps(_everything(prompt.questions)))
        first = judge(endpoint, path)
        judged(first, request())
        other, asked = change(first, request())
        judged(other, asked)
        assert len(endpoint.asked) == 2
        judged(first, request())
        judged(other, asked)
        assert len(endpoint.asked) == 2

    def test_another_template_is_another_question(self, path, monkeypatch):
        endpoint = ScriptedEndpoint(passes)
        judged(judge(endpoint, path), request())
        another = evolve(prompts._TEMPLATES["checklist"], last="Say it.")
        monkeypatch.setitem(prompts._TEMPLATES, "checklist", another)
        judged(judge(endpoint, path), request())
        assert len(endpoint.asked) == 2

    def test_the_fence_is_none(self, path):
        marks = [
            prompts.render("direct", request().prototype, sample_subgoal(), prompts.DIRECT_QUESTIONS, 8000)
            for _ in range(2)
        ]
        assert marks[0].fence != marks[1].fence
        assert marks[0].user != marks[1].user
        assert marks[0].identity == marks[1].identity


def _everything(questions: tuple[Question, ...]) -> dict[str, Any]:
    return {q.id: {"reason": "So.", "quote": "Paris", "answer": q.answers[0]} for q in questions}


class TestRevision:
    def test_a_reported_revision_makes_the_others_miss(self, path):
        cache, other = ReplyCache(str(path)), {**ASKED, "sample": 1}
        aio.run(reply(cache, Reply(text="old", revision="fp_1")))
        assert aio.run(reply(cache, None))[0].text == "old"
        aio.run(reply(cache, Reply(text="other", revision="fp_2"), other))
        assert aio.run(reply(cache, Reply(text="new", revision="fp_2"))) == (
            Reply(text="new", revision="fp_2"),
            False,
        )
        assert aio.run(reply(cache, None)) == (Reply(text="new", revision="fp_2"), True)

    def test_it_holds_for_one_endpoint(self, path):
        cache, elsewhere = ReplyCache(str(path)), changed(ASKED, "endpoint.model")
        aio.run(reply(cache, Reply(text="here", revision="fp_1")))
        aio.run(reply(cache, Reply(text="there", revision="fp_2"), elsewhere))
        assert aio.run(reply(cache, None))[0].text == "here"

    def test_it_is_kept_of_a_reply_that_is_not(self, path):
        cache, other = ReplyCache(str(path)), {**ASKED, "sample": 1}
        aio.run(reply(cache, Reply(text="old", revision="fp_1")))
        aio.run(reply(cache, Reply(text="?", revision="fp_2"), other, worth_keeping=lambda _: False))
        assert not aio.run(reply(cache, Reply(text="new", revision="fp_2")))[1]

    def test_a_refusal_without_one_tells_nothing(self, path):
        cache, other = ReplyCache(str(path)), {**ASKED, "sample": 1}
        aio.run(reply(cache, Reply(text="old", revision="fp_1")))
        aio.run(reply(cache, Reply(text="no"), other, worth_keeping=lambda _: False))
        assert aio.run(reply(cache, None)) == (Reply(text="old", revision="fp_1"), True)

    def test_what_another_process_was_told_counts(self, path):
        ours, theirs = ReplyCache(str(path)), ReplyCache(str(path))
        aio.run(reply(ours, Reply(text="old", revision="fp_1")))
        aio.run(reply(theirs, Reply(text="x", revision="fp_2"), {**ASKED, "sample": 1}))
        assert aio.run(reply(ours, Reply(text="new", revision="fp_2")))[0].text == "new"


@frozen(eq=False)
class Slow:
    """An endpoint that answers when it is told to."""

    gate: asyncio.Event
    asked: list[Prompt] = field(factory=list)
    identity: ClassVar[Json] = {"judge": "slow"}
    probabilities: ClassVar[bool] = False
    broken: bool = False

    async def ask(self, prompt: Prompt, sample: int) -> Reply:
        self.asked.append(prompt)
        await self.gate.wait()
        if self.broken:
            raise CallError("down", PRICE)
        return Reply(text=answering(prompt, 0), usage=PRICE)


class TestAtTheSameTime:
    def test_equal_questions_are_asked_once(self, path):
        async def play():
            slow = Slow(asyncio.Event())
            asking = asyncio.ensure_future(judge(slow, path).judge([request()] * 50))
            await until(lambda: slow.asked)
            slow.gate.set()
            return len(slow.asked), await asking

        calls, found = asyncio.run(play())
        assert calls == 1
        assert sum((each.usage for each in found), Usage()) == PRICE
        assert [each.score for each in found] == [3.0] * 50
        assert [each.cached for each in found].count(False) == 1

    def test_a_failure_reaches_all_and_is_paid_once(self, path):
        async def play():
            slow = Slow(asyncio.Event(), broken=True)
            asking = asyncio.ensure_future(judge(slow, path).judge([request()] * 5))
            await until(lambda: slow.asked)
            slow.gate.set()
            return len(slow.asked), await asking

        calls, found = asyncio.run(play())
        assert calls == 1
        assert {(each.status, each.reason) for each in found} == {("failed", "down")}
        assert sum((each.usage for each in found), Usage()) == PRICE

    @pytest.mark.parametrize("cancelled", [0, 1])
    def test_one_who_is_cancelled_leaves_the_others(self, path, cancelled):
        async def play():
            slow = Slow(asyncio.Event())
            both = judge(slow, path)
            tasks = [asyncio.ensure_future(both.judge([request()])) for _ in range(4)]
            await until(lambda: slow.asked)
            await asyncio.sleep(0.01)
            tasks[cancelled].cancel()
            await until(tasks[cancelled].done)
            slow.gate.set()
            others = [task for task in tasks if task is not tasks[cancelled]]
            found = await asyncio.wait_for(asyncio.gather(*others), timeout=60)
            assert tasks[cancelled].cancelled()
            return len(slow.asked), [verdict.score for (verdict,) in found]

        calls, scores = asyncio.run(play())
        assert scores == [3.0] * 3
        assert calls == (2 if cancelled == 0 else 1)

    def test_one_who_breaks_leaves_the_others(self, path):
        async def play():
            cache = ReplyCache(str(path))

            async def breaks() -> Reply:
                await asyncio.sleep(0.01)
                raise ZeroDivisionError

            broken = asyncio.ensure_future(cache.reply(ASKED, breaks, lambda _: True))
            other = asyncio.ensure_future(reply(cache, Reply(text="well")))
            done = await asyncio.wait_for(asyncio.gather(broken, other, return_exceptions=True), timeout=60)
            return [type(done[0]), done[1]]

        assert asyncio.run(play()) == [ZeroDivisionError, (Reply(text="well"), False)]

    def test_one_judge_serves_several_loops(self, path):
        endpoint = ScriptedEndpoint(passes)
        shared = judge(endpoint, path)
        found = [asyncio.run(shared.judge([request()])) for _ in range(3)] + [judged(shared, request())]
        assert [verdict.score for (verdict,) in found] == [3.0] * 4
        assert len(endpoint.asked) == 1


async def until(holds: Callable[[], Any]) -> None:
    while not holds():
        await asyncio.sleep(0)


@frozen
class Asking:
    """A judge that asks a scripted model."""

    name: ClassVar[str] = "asking"
    calls: ClassVar[list[int]] = []

    def build(self) -> Judge:
        return ModelJudge(endpoint=ScriptedEndpoint(self._reply))

    def _reply(self, prompt: Prompt, sample: int) -> str:
        self.calls.append(sample)
        return answering(prompt, 0)


class TestBuilder:
    def test_it_stands_in_a_config(self, path):
        table = {"scorer": {"judge": {"use": "cached", "path": str(path), "judge": "programs"}}}
        builder = Config.from_table(table).scorer.judge
        assert builder == Cached(judge=ProgramsJudge(), path=str(path))

    def test_a_judge_that_asks_no_model_has_nothing_to_remember(self, path):
        with pytest.raises(
            ConfigError, match=r"'programs' asks no model.*put `cached` around a judge that asks"
        ):
            Cached(judge=ProgramsJudge(), path=str(path)).build()
        assert not path.exists()
        with pytest.raises(ConfigError, match="none of the panel's judges asks a model"):
            Cached(judge=Panel(judges=(ProgramsJudge(),)), path=str(path)).build()

    @pytest.mark.parametrize("outside", [True, False])
    def test_it_nests_with_a_panel(self, path, outside):
        """Two seats of one judge are two draws, whichever stands in which."""
        Asking.calls.clear()
        cached = Cached(judge=Asking(), path=str(path))
        one = Cached(judge=Panel(judges=(Asking(), Asking())), path=str(path))
        other = Panel(judges=(cached, cached))
        for nested in (one, other) if outside else (other, one):
            assert judged(nested.build(), request())[0].score == 3.0
        assert sorted(Asking.calls) == [0, 1]

    def test_a_cached_panel_is_cached_where_all_are(self, path):
        seats = [Seat(judge=judge(ScriptedEndpoint(passes), path), label=label) for label in "ab"]
        assert not judged(JudgePanel(members=tuple(seats)), request())[0].cached
        (found,) = judged(JudgePanel(members=tuple(seats)), request())
        assert (found.cached, found.usage) == (True, Usage())


def _rows(path: Path) -> int:
    return len(_query(path, "SELECT 1 FROM replies"))


def _query(path: Path, sql: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def _foreign(path: Path) -> None:
    _query(path, "CREATE TABLE things (a)")


def _foreign_in_wal(path: Path) -> None:
    """Somebody else's database as a kill left it: part of it is in the log."""
    other = path.with_name("other")
    connection = sqlite3.connect(other)
    connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE things (a)")
    shutil.copy(other, path)
    shutil.copy(f"{other}-wal", f"{path}-wal")
    connection.close()
    other.unlink()


def _another_version(path: Path) -> None:
    ReplyCache(str(path))
    _query(path, "PRAGMA user_version = 7")
    _query(path, "PRAGMA wal_checkpoint(TRUNCATE)")


class TestBadFiles:
    @pytest.mark.parametrize(
        ("make", "problem"),
        [
            (lambda path: path.write_text("[scorer]\njudge = 'x'\n" * 99), "file is not a database"),
            (
                lambda path: path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000),
                "cannot be read as a cache",
            ),
            (lambda path: path.mkdir(), "is no file"),
            (os.mkfifo, "is no file"),
            (_foreign, "something else wrote"),
            (_foreign_in_wal, "something else wrote"),
            (_another_version, "a cache of format 7, where this version of scribe has 1"),
        ],
    )
    def test_what_is_no_cache_is_left_alone(self, tmp_path, make, problem):
        path = tmp_path / "it"
        make(path)
        before = _contents(tmp_path)
        with pytest.raises(
            ConfigError, match=f"{re.escape(str(path))}.*{problem}.*give the path of a new file"
        ):
            ReplyCache(str(path))
        assert _contents(tmp_path) == before

    @pytest.mark.parametrize(
        "place", ["", "  ", "file.txt/judge.sqlite", "a\0b", "/proc/judge.sqlite", "n" * 300]
    )
    def test_a_bad_path_is_a_config_error(self, tmp_path, monkeypatch, place):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "file.txt").touch()
        with pytest.raises(ConfigError, match=r"cached: path .*give"):
            ReplyCache(place)

    def test_a_cut_file_is_a_config_error(self, path):
        aio.run(reply(ReplyCache(str(path)), Reply(text="x" * 50_000)))
        _query(path, "PRAGMA wal_checkpoint(TRUNCATE)")
        os.truncate(path, 5000)
        with pytest.raises(ConfigError, match="malformed"):
            ReplyCache(str(path))

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE replies SET reply = replace(reply, 'first', 'worst')",
            "UPDATE replies SET reply = '{'",
            "UPDATE replies SET reply = NULL",
            "UPDATE replies SET reply = x'ff00'",
            "UPDATE replies SET reply = CAST(x'ff00' AS TEXT)",
            "UPDATE replies SET checksum = 7",
        ],
    )
    def test_a_damaged_row_is_a_miss_with_a_warning(self, path, damage):
        cache = ReplyCache(str(path))
        aio.run(reply(cache, Reply(text="first")))
        with sqlite3.connect(path) as file:
            file.execute(damage)
        file.close()
        with capture_logs() as logs:
            assert aio.run(reply(cache, Reply(text="second"))) == (Reply(text="second"), False)
        assert [entry["log_level"] for entry in logs] == ["warning"]
        assert aio.run(reply(cache, None)) == (Reply(text="second"), True)

    def test_a_file_that_breaks_meanwhile_loses_no_judgement(self, path):
        endpoint = ScriptedEndpoint(passes)
        asking = judge(endpoint, path, progress=Progress(lambda: 0.0))
        judged(asking, request())
        _query(path, "DROP TABLE replies")
        with capture_logs() as logs:
            for _ in range(3):
                assert judged(asking, request())[0].score == 3.0
        assert [entry["event"] for entry in logs] == ["cache_unreadable", "cache_unwritable"]
        assert len(endpoint.asked) == 4


def _contents(folder: Path) -> dict[str, Any]:
    return {
        each.name: each.read_bytes() if each.is_file() else each.stat().st_mode for each in folder.iterdir()
    }


WRITER = """
import asyncio, resource, sys
from scribe_core.judging import reply_file
from scribe_core.judging.asking import Reply
from scribe_core.judging.cache import ReplyCache

reply_file.PATIENCE_S = 3600.0
path, me, rows, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
cache = ReplyCache(path)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

async def one(key, said):
    async def ask():
        return Reply(text=said)
    return await cache.reply({"endpoint": {}, "key": key}, ask, lambda _: True)

async def many():
    for start in range(0, rows, 50):
        batch = range(start, min(start + 50, rows))
        own = await asyncio.gather(*(one(f"{me}-{i}", f"{me} wrote {i} " + "x" * 500) for i in batch))
        shared = await asyncio.gather(*(one(f"shared-{i}", f"shared {i}") for i in batch))
        assert all(reply.text.startswith(f"{me} wrote {i} ") for i, (reply, _) in zip(batch, own))
        assert [reply.text for reply, _ in shared] == [f"shared {i}" for i in batch]
        print(batch[-1], flush=True)

asyncio.run(many())
"""


def _writer(path: Path, name: str, rows: int, limit: int = 0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(path), name, str(rows), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class TestProcesses:
    ROWS = 1500

    def test_four_share_a_file(self, path):
        writers = [_writer(path, name, self.ROWS) for name in "abcd"]
        for writer in writers:
            _, problems = writer.communicate()
            assert (writer.returncode, problems) == (0, "")
        assert _query(path, "PRAGMA integrity_check") == [("ok",)]
        assert _rows(path) == 5 * self.ROWS
        cache = ReplyCache(str(path))
        for name in "abcd":
            for i in range(self.ROWS):
                found, remembered = aio.run(reply(cache, None, {"endpoint": {}, "key": f"{name}-{i}"}))
                assert remembered
                assert found.text.startswith(f"{name} wrote {i} ")

    def test_a_kill_loses_at_most_what_was_being_written(self, path):
        """What a process was told is there afterwards, each time, and the next one goes on with the same file."""
        for attempt in range(10):
            writer = _writer(path, f"k{attempt}", 1_000_000)
            assert writer.stdout is not None
            told = [int(writer.stdout.readline()) for _ in range(1 + attempt % 4)]
            os.kill(writer.pid, signal.SIGKILL)
            told += [int(line) for line in writer.stdout.read().splitlines()]
            writer.wait()
            writer.stdout.close()
            assert writer.stderr is not None
            assert writer.stderr.read() == ""
            writer.stderr.close()
            cache = ReplyCache(str(path))
            for i in range(told[-1] + 1):
                found, remembered = aio.run(reply(cache, None, {"endpoint": {}, "key": f"k{attempt}-{i}"}))
                assert remembered
                assert found.text.startswith(f"k{attempt} wrote {i} ")
        assert _query(path, "PRAGMA integrity_check") == [("ok",)]

    def test_a_full_disk_loses_no_judgement(self, path):
        """The process may write no file longer than that; every reply still comes, and what was kept is whole."""
        writer = _writer(path, "full", 1000, limit=200_000)
        told, _ = writer.communicate()
        assert writer.returncode == 0
        assert told.splitlines()[-1] == "999"
        assert told.count("cache_unwritable") == 1
        assert _query(path, "PRAGMA integrity_check") == [("ok",)]
        assert 0 < _rows(path) < 2000

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_fork_opens_the_file_anew(self, path):
        cache = ReplyCache(str(path))
        aio.run(reply(cache, Reply(text="before")))
        child = os.fork()
        if not child:
            signal.alarm(240)
            try:
                asyncio.run(reply(cache, None))
                asyncio.run(reply(cache, Reply(text="from the child"), {**ASKED, "sample": 1}))
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert aio.run(reply(cache, None, {**ASKED, "sample": 1}))[0].text == "from the child"
        aio.run(reply(cache, Reply(text="after"), {**ASKED, "sample": 2}))
        assert _query(path, "PRAGMA integrity_check") == [("ok",)]
