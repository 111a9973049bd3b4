"""How fast the judge `hf` judges steps with local weights, against one forward pass per question and answer.

    python contrib/benchmarks/local_judge.py [--model smollm2-135m] [--spans 200] [--naive 10] [--dtype auto]

The steps are calls of the Berkeley Function Calling Leaderboard, all judged with one prototype of three questions. The
naive loop is what one writes first: for each answer of each question the prompt is tokenised and computed anew, on the
same weights, with the same attention; it runs on the first `--naive` steps. `ratio` is how many times as many
judgements per second ours makes, and `cpu_ratio` the same by CPU seconds, which other load on the machine moves less;
`outside` is the mean probability on none of the answers, `apart` the largest difference between the probabilities of
the two. The last line of stdout is one JSON object.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from pairs import read_cases
from scribe_env_bfcl import BFCL
from scribe_judge_hf.builder import HFJudge

from scribe_core.judging import Prompt
from scribe_core.judging.prompts import checklist_questions, render
from scribe_core.skills import Check, FailureMode, Prototype
from scribe_core.testing import sample_prototype
from scribe_core.types import Message, Span, Subgoal, Trajectory

Table = dict[str, dict[str, float]]


def main() -> None:
    options = _options()
    judge: Any = HFJudge(model=options.model, dtype=options.dtype, batch_tokens=options.batch_tokens).build()
    prompts = make_prompts(options.spans)
    asyncio.run(_ask(judge.endpoint, prompts[:2]))  # the first call of a library is slower than all others
    naive, naive_seconds, naive_cpu = _timed(
        lambda: [one_by_one(judge.endpoint, each) for each in prompts[: options.naive]]
    )
    ours, seconds, cpu = _timed(lambda: asyncio.run(_ask(judge.endpoint, prompts)))
    per_second, naive_per_second = len(prompts) / seconds, len(naive) / naive_seconds
    report = {
        "model": options.model,
        "device": str(judge.endpoint._module.device),
        "dtype": judge.endpoint.identity["dtype"],
        "threads": torch.get_num_threads(),
        "spans": len(prompts),
        "naive_spans": len(naive),
        "prompt_tokens": round(
            sum(len(judge.endpoint._layout.lay(p).prompt) for p in prompts) / len(prompts)
        ),
        "ratio": round(per_second / naive_per_second, 2),
        "cpu_ratio": round(naive_cpu / len(naive) / (cpu / len(prompts)), 2),
        "cpu_seconds_each": round(cpu / len(prompts), 3),
        "per_second": round(per_second, 3),
        "naive_per_second": round(naive_per_second, 3),
        "outside": round(sum(_outside(table) for table in ours) / len(ours), 4),
        "apart": max(_apart(one, other) for one, other in zip(ours, naive, strict=False)),
    }
    print(json.dumps(report))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--spans", type=int, default=200, help="steps that ours judges")
    parser.add_argument("--naive", type=int, default=10, help="steps that the naive loop judges")
    parser.add_argument("--dtype", default="auto", choices=("auto", "bfloat16", "float32"))
    parser.add_argument("--batch-tokens", type=int, default=4096)
    return parser.parse_args()


def make_prompts(count: int) -> list[Prompt]:
    """Prompts about the reference calls of as many tasks."""
    environment = BFCL(categories=("simple_python", "multiple", "parallel")).build()
    prototype = _prototype()
    questions = checklist_questions(prototype.checks, prototype.failure_modes)
    prompts = []
    for case in islice(read_cases(environment, ("train", "validation", "test")), count):
        messages = (*case.task.messages, Message(role="assistant", tool_calls=case.calls))
        trajectory = Trajectory(id=case.task.id, messages=messages, tools=tuple(case.tools.values()))
        step = Subgoal(trajectory=trajectory, span=Span((len(messages) - 1, 0), (len(messages), 0)))
        prompt = render("checklist", prototype, step, questions, 4000)
        assert prompt is not None, f"{case.task.id} does not fit"
        prompts.append(prompt)
    return prompts


def _prototype() -> Prototype:
    return sample_prototype(
        checks=(
            Check(
                id="right-tool",
                question="Is the called tool the one that fits the request?",
                caps=0,
                evidence="none",
            ),
            Check(
                id="grounded", question="Is every argument taken from the request?", caps=1, evidence="none"
            ),
        ),
        failure_modes=(
            FailureMode(id="default-filled", description="A default is spelt out wrongly.", caps=2),
        ),
    )


async def _ask(endpoint: Any, prompts: Sequence[Prompt]) -> list[Table]:
    replies = await asyncio.gather(*(endpoint.ask(prompt, 0) for prompt in prompts))
    return [json.loads(reply.text) for reply in replies]


@torch.inference_mode()
def one_by_one(endpoint: Any, prompt: Prompt) -> Table:
    """The probabilities of a prompt's answers, each by a forward pass of its own."""
    table: Table = {}
    for branch in endpoint._layout.lay(prompt).branches:
        table[branch.question] = {}
        for answer, tokens in branch.answers:
            laid = endpoint._layout.lay(prompt)
            ids = torch.tensor([[*laid.prompt, *branch.stem, *tokens]], device=endpoint._module.device)
            logits = endpoint._module(input_ids=ids, logits_to_keep=len(tokens) + 1, use_cache=False).logits[
                0
            ]
            chances = logits.float().log_softmax(-1)
            total = sum(chances[i, token] for i, token in enumerate(tokens))
            total = total + chances[-1, endpoint._closers].logsumexp(-1)
            table[branch.question][answer] = float(total.exp())
    return table


def _timed(work: Any) -> tuple[Any, float, float]:
    """(result, wall seconds, CPU seconds)."""
    start, cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"{len(result)} judgements in {seconds:.1f} s, {cpu:.1f} s of CPU", file=sys.stderr)
    return result, seconds, cpu


def _outside(table: Table) -> float:
    return max(1 - sum(row.values()) for row in table.values())


def _apart(one: Table, other: Table) -> float:
    return max(abs(one[id_][answer] - chance) for id_, row in other.items() for answer, chance in row.items())


if __name__ == "__main__":
    main()
