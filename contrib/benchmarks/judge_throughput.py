"""How much of a server's rate a judge reaches, beside bare clients and other judge libraries.

    python contrib/benchmarks/judge_throughput.py [--count 2000] [--repeats 3] [--peer-python PYTHON]

A server in a process of its own answers each request after 50 ms, and after 500 ms, at most 64 at a time. The same
prompts go through aiohttp, through the openai SDK in several ways, and through scribe's judge from requests to
verdicts; other libraries send their own prompts about the same spans, one criterion each. PYTHON is that of an
environment with autorubric, openevals and verifiers, whose pins are not ours; what it lacks is skipped, and said so.

`efficiency` is the ideal wall time / ours at 50 ms, the best of the repeats; `own_ms_per_judgement` is our CPU time
beyond that of aiohttp with the same prompts; `peers` has wall and CPU of all. The last line is one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve
from judge_clients import CLIENTS, PEERS, REPLIES, SLOTS

from scribe_core.judging import prompts
from scribe_core.protocols import JudgeRequest
from scribe_core.spans import span_text
from scribe_core.testing import sample_prototype, sample_subgoal, sample_trajectory

HERE = Path(__file__).parent
OURS = ("aiohttp", "openai on aiohttp", "openai raw on aiohttp", "openai", "scribe")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clients", nargs="+", default=[*OURS, *PEERS], choices=[*CLIENTS])
    parser.add_argument("--peer-python", default=sys.executable)
    given = parser.parse_args()
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "prompts.json")
        path.write_text(json.dumps([*asked(given.count)]), encoding="utf-8")
        tables = {
            latency: measure_all(given, path, latency, names)
            for latency, names in ((0.05, given.clients), (0.5, ["scribe"]))
        }
    fast, slow = tables[0.05], tables[0.5]
    own = fast["scribe"]["cpu_ms"] - fast["aiohttp"]["cpu_ms"] if "aiohttp" in fast else None
    report = {
        "judgements": given.count,
        "efficiency": fast["scribe"]["efficiency"],
        "efficiency_500ms": slow["scribe"]["efficiency"],
        "own_ms_per_judgement": None if own is None else round(own, 3),
        "peers": {name: found for name, found in fast.items() if name != "scribe"},
        "scribe": fast["scribe"],
    }
    print(json.dumps(report))


def requests(count: int) -> list[JudgeRequest]:
    """Spans that differ in their text, as a batch of rollouts would."""
    prototype = sample_prototype()
    base = sample_trajectory()
    made = []
    for number in range(count):
        last = evolve(base.messages[-1], content=f"{base.messages[-1].content} That was request {number}.")
        trajectory = evolve(base, id=str(number), messages=(*base.messages[:-1], last))
        made.append(JudgeRequest(subgoal=sample_subgoal(trajectory), prototype=prototype))
    return made


def asked(count: int) -> Iterator[dict[str, Any]]:
    """The prompts that the judge makes of these requests."""
    for request in requests(count):
        prototype = request.prototype
        questions = prompts.checklist_questions(prototype.checks, prototype.failure_modes)
        prompt = prompts.render("checklist", prototype, request.subgoal, questions, 8000)
        assert prompt is not None
        yield {
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "verdict", "strict": True, "schema": prompt.schema},
            },
            "span": span_text(request.subgoal),
        }


def verdict() -> str:
    """A reply to every prompt, with a quote that stands in every span."""
    said = {"reason": "The tool and its arguments are those of the request.", "quote": "Now Rome."}
    return json.dumps(
        {
            "right-tool": {**said, "answer": "pass"},
            "arguments-grounded": {**said, "answer": "pass"},
            "default-filled": {**said, "answer": "absent"},
        }
    )


def measure_all(
    given: argparse.Namespace, path: Path, latency: float, names: list[str]
) -> dict[str, dict[str, Any]]:
    """Every client in turn, again and again, so that a busy moment does not hit one of them alone."""
    best: dict[str, dict[str, Any]] = {}
    ideal = given.count * latency / SLOTS
    for _ in range(given.repeats):
        for name in names:
            found = measure(name, given.peer_python if name in PEERS else sys.executable, path, latency)
            if "wall" in found:
                found = {
                    "wall_s": round(found["wall"], 3),
                    "efficiency": round(ideal / found["wall"], 3),
                    "cpu_ms": round(found["cpu"] / given.count * 1000, 3),
                }
            if name not in best or found.get("wall_s", 0) < best[name].get("wall_s", 0):
                best[name] = found
            print(f"{latency * 1000:.0f} ms, {name}: {found}", file=sys.stderr)
    return best


def measure(name: str, python: str, path: Path, latency: float) -> dict[str, Any]:
    """Wall and CPU seconds of one client, or why there are none."""
    with serving(latency, REPLIES.get(name, verdict())) as url:
        command = [python, str(HERE / "judge_clients.py"), name, url, str(path)]
        environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return {"broke": (done.stderr.strip().splitlines() or ["no message"])[-1][:300]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@contextmanager
def serving(latency: float, reply: str) -> Iterator[str]:
    """The URL of a server that answers so late, and so many at a time."""
    command = [sys.executable, "-m", "scribe_core.testing.servers", "--latency", str(latency)]
    command += ["--concurrency", str(SLOTS), "--reply", reply]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()
            server.wait(10)


if __name__ == "__main__":
    main()
