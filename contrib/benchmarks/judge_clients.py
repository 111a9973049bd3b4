"""One client of a judge's server, alone in its process; `judge_throughput.py` starts it.

    python contrib/benchmarks/judge_clients.py CLIENT URL PROMPTS

PROMPTS is a file with a list of {"messages", "response_format", "span"}. After as many calls as there are slots,
which open the connections, all prompts are sent, 64 at a time; wall and CPU seconds of that go to stdout. A client
that is not installed prints {"absent": ...}. Nothing here imports scribe but the client of that name.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

SLOTS = 64
MODEL = "any"
KEY = "none"

Prompts = Sequence[dict[str, Any]]
Client = Callable[[str, Prompts], Awaitable[Callable[[Prompts], Awaitable[int]]]]
"""From a URL and all prompts to what judges some of them and tells how many came out right."""


async def measure(client: Client, url: str, prompts: Prompts) -> dict[str, float]:
    judge = await client(url, prompts)
    await judge(prompts[:SLOTS])
    wall, cpu = time.perf_counter(), time.process_time()
    done = await judge(prompts)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if done != len(prompts):
        raise SystemExit(f"only {done} of {len(prompts)} judgements came out right")
    return {"wall": wall, "cpu": cpu}


def limited(
    one: Callable[[dict[str, Any]], Awaitable[bool]],
) -> Callable[[Prompts], Awaitable[int]]:
    """Judges prompts one by one, at most 64 at a time."""
    slots = asyncio.Semaphore(SLOTS)

    async def within(prompt: dict[str, Any]) -> bool:
        async with slots:
            return await one(prompt)

    async def judge(prompts: Prompts) -> int:
        return sum(await asyncio.gather(*map(within, prompts)))

    return judge


async def plain_aiohttp(url: str, _: Prompts) -> Callable[[Prompts], Awaitable[int]]:
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def one(prompt: dict[str, Any]) -> bool:
        body = {"model": MODEL, "messages": prompt["messages"], "response_format": prompt["response_format"]}
        async with session.post(f"{url}/chat/completions", json=body) as response:
            return bool((await response.json())["choices"][0]["message"]["content"])

    return limited(one)


async def openai_sdk(url: str, _: Prompts) -> Callable[[Prompts], Awaitable[int]]:
    import openai

    return _sdk(openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0))


async def openai_on_aiohttp(url: str, _: Prompts) -> Callable[[Prompts], Awaitable[int]]:
    import openai

    http = openai.DefaultAioHttpClient()
    return _sdk(openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0, http_client=http))


async def openai_raw_on_aiohttp(url: str, _: Prompts) -> Callable[[Prompts], Awaitable[int]]:
    """The SDK's own low-level path: no typed parameters, no pydantic."""
    import httpx2
    import openai

    http = openai.DefaultAioHttpClient()
    client = openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0, http_client=http)

    async def one(prompt: dict[str, Any]) -> bool:
        body = {"model": MODEL, "messages": prompt["messages"], "response_format": prompt["response_format"]}
        response = await client.post("/chat/completions", body=body, cast_to=httpx2.Response)
        return bool(json.loads(response.content)["choices"][0]["message"]["content"])

    return limited(one)


def _sdk(client: Any) -> Callable[[Prompts], Awaitable[int]]:
    async def one(prompt: dict[str, Any]) -> bool:
        reply = await client.chat.completions.create(
            model=MODEL, messages=prompt["messages"], response_format=prompt["response_format"]
        )
        return bool(reply.choices[0].message.content)

    return limited(one)


async def scribe(url: str, prompts: Prompts) -> Callable[[Prompts], Awaitable[int]]:
    """The judge from requests to verdicts: prompts, calls, limits, parsing, the rubric."""
    from judge_throughput import requests
    from scribe_judge_openai import OpenAIJudge

    from scribe_core import aio

    judge = OpenAIJudge(model=MODEL, base_url=url).build()
    asked = requests(len(prompts))

    async def run(some: Prompts) -> int:
        verdicts = await aio.here(judge.judge(asked[: len(some)]))
        return sum(verdict.status == "scored" for verdict in verdicts)

    return run


async def autorubric(url: str, _: Prompts) -> Callable[[Prompts], Awaitable[int]]:
    from autorubric import Criterion, CriterionVerdict, LLMConfig, Rubric
    from autorubric.graders import CriterionGrader

    os.environ["OPENAI_API_KEY"] = KEY
    config = LLMConfig(model=f"openai/{MODEL}", api_base=url, max_parallel_requests=SLOTS)
    grader = CriterionGrader(llm_config=config)
    rubric = Rubric([Criterion(name="right", weight=1.0, requirement="The right tool is called.")])

    async def one(prompt: dict[str, Any]) -> bool:
        report = await rubric.grade(to_grade=prompt["span"], grader=grader)
        return report.report[0].final_verdict == CriterionVerdict.MET

    return limited(one)


async def openevals(url: str, _: Prompts) -> Callable[[Prompts], Awaitable[int]]:
    import openai
    from openevals.llm import create_async_llm_as_judge

    client = openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0)
    judge = create_async_llm_as_judge(
        prompt="Is the right tool called?\n{outputs}", judge=client, model=MODEL, feedback_key="right"
    )

    async def one(prompt: dict[str, Any]) -> bool:
        return (await judge(outputs=prompt["span"]))["score"] is True

    return limited(one)


async def verifiers(url: str, _: Prompts) -> Callable[[Prompts], Awaitable[int]]:
    from verifiers.v1.judges.reference import ReferenceJudge, ReferenceJudgeConfig

    os.environ["OPENAI_API_KEY"] = KEY
    judge = ReferenceJudge(ReferenceJudgeConfig(base_url=url, api_key_var="OPENAI_API_KEY", model=MODEL))

    async def one(prompt: dict[str, Any]) -> bool:
        question = "Is the right tool called?"
        found = await judge.evaluate(
            question=question, answer="yes", response=prompt["span"], positive="yes", negative="no"
        )
        return found.parsed == 1.0

    return limited(one)


CLIENTS: dict[str, Client] = {
    "aiohttp": plain_aiohttp,
    "openai": openai_sdk,
    "openai on aiohttp": openai_on_aiohttp,
    "openai raw on aiohttp": openai_raw_on_aiohttp,
    "scribe": scribe,
    "autorubric": autorubric,
    "openevals": openevals,
    "verifiers": verifiers,
}
PEERS = ("autorubric", "openevals", "verifiers")
REPLIES = {
    "autorubric": '{"criterion_status": "MET", "explanation": "it stands there"}',
    "openevals": '{"reasoning": "it stands there", "score": true}',
    "verifiers": "yes",
}
"""What a peer takes for a verdict."""


def main() -> None:
    name, url, path = sys.argv[1:]
    prompts = json.loads(Path(path).read_text("utf-8"))
    try:
        found: dict[str, Any] = asyncio.run(measure(CLIENTS[name], url, prompts))
    except ImportError as error:
        found = {"absent": str(error)}
    print(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # clients leave sessions open, and complain about it


if __name__ == "__main__":
    main()
