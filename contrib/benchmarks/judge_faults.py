"""Judgements through a server that fails: none is lost or counted twice, none that failed has a number.

    python contrib/benchmarks/judge_faults.py [--count 10000] [--share 0.2] [--seed 0] [--timeout 2]

The server fails in every way that `scribe_core.testing.servers` knows, and what it counted is compared with what
the verdicts say. Every span has its own right score, so that a verdict in the wrong place shows. One JSON
object on the last line: the counts of both sides, and `problems`, which is empty where they agree.
"""

import argparse
import json
import sys
import time
from collections import Counter
from typing import Any

from scribe_judge_openai import OpenAIJudge

from scribe_core import aio
from scribe_core.judging.calls import Limits
from scribe_core.protocols import Judge, JudgeRequest
from scribe_core.skills import Check
from scribe_core.spans import whole
from scribe_core.testing import sample_prototype
from scribe_core.testing.servers import ChatServer, Faults
from scribe_core.types import Message, Subgoal, Trajectory, Usage, Verdict

PROTOTYPE = sample_prototype(
    checks=(Check(id="right", question="Is the number right?", caps=1),), failure_modes=()
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--timeout", type=float, default=2.0, help="seconds; two of eleven faults last as long"
    )
    parser.add_argument("--attempts", type=int, default=8, help="few of them make judgements fail")
    given = parser.parse_args()
    faults = Faults(share=given.share, seed=given.seed)
    found = measure(given.count, faults, given.timeout, given.attempts)
    print(json.dumps(found))
    return 1 if found["problems"] else 0


def measure(count: int, faults: Faults, timeout: float, attempts: int = 8) -> dict[str, Any]:
    """The counts of both sides after so many judgements, and where they disagree."""
    limits = Limits(attempts=attempts, backoff=0.02, timeout=timeout)
    with ChatServer(reply=answer, faults=faults) as server:
        return measure_on(server, count, limits)


def measure_on(server: ChatServer, count: int, limits: Limits) -> dict[str, Any]:
    """The same on a server that runs, and replies with `answer`."""
    requests = [request(number) for number in range(count)]
    judge = OpenAIJudge(model="any", base_url=server.url, limits=limits).build()
    began = time.monotonic()
    verdicts = aio.run(judged(judge, requests))
    seconds = time.monotonic() - began
    usage = sum((verdict.usage for verdict in verdicts), Usage())
    return {
        "judgements": len(verdicts),
        "seconds": round(seconds, 1),
        "statuses": dict(Counter(verdict.status for verdict in verdicts)),
        "calls": usage.calls,
        "requests": server.requests,
        "served": dict(server.served),
        "problems": [*problems(verdicts, count), *differences(verdicts, usage, server)],
    }


def request(number: int) -> JudgeRequest:
    messages = (
        Message(role="user", content="A number?"),
        Message(role="assistant", content=f"It is {number}"),
    )
    trajectory = Trajectory(id=str(number), messages=messages)
    return JudgeRequest(subgoal=Subgoal(trajectory=trajectory, span=whole(trajectory)), prototype=PROTOTYPE)


def answer(asked: dict[str, Any]) -> str:
    """Even numbers are right."""
    line = next(line for line in asked["messages"][-1]["content"].split("\n") if line.startswith("| It is "))
    said = "fail" if int(line.removeprefix("| It is ")) % 2 else "pass"
    return json.dumps({"right": {"reason": line, "answer": said}})


async def judged(judge: Judge, requests: list[JudgeRequest]) -> list[Verdict]:
    return await judge.judge(requests)


def problems(verdicts: list[Verdict], count: int) -> list[str]:
    """What is wrong with single verdicts."""
    found = [] if len(verdicts) == count else [f"{len(verdicts)} verdicts for {count} requests"]
    for number, verdict in enumerate(verdicts):
        if verdict.status == "scored" and verdict.score != (1 if number % 2 else 3):
            found.append(f"{number} has the score {verdict.score}")
        if verdict.status != "scored" and verdict.score is not None:
            found.append(f"{number} is {verdict.status} and has a number")
        if verdict.status == "failed" and not verdict.reason:
            found.append(f"{number} failed without a cause")
    return found[:20]


def differences(verdicts: list[Verdict], usage: Usage, server: ChatServer) -> list[str]:
    """Where the client's counts are not the server's."""
    statuses = Counter(verdict.status for verdict in verdicts)
    readable = sum(server.served[kind] for kind in ("reply", "refusal", "schema"))
    refused = sum("would not answer" in verdict.reason for verdict in verdicts)
    pairs = {
        "calls": (usage.calls, server.requests),
        "requests by outcome": (sum(server.served.values()), server.requests),
        "scored": (statuses["scored"], server.served["reply"]),
        "refused": (refused, server.served["refusal"]),
        "prompt tokens": (usage.prompt_tokens, readable * 100),
        "completion tokens": (usage.completion_tokens, readable * 20),
    }
    return [
        f"{name}: {ours} here, {theirs} there" for name, (ours, theirs) in pairs.items() if ours != theirs
    ]


if __name__ == "__main__":
    sys.exit(main())
