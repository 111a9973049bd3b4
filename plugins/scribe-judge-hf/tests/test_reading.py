"""Probabilities out of shared prefixes are those of one sequence at a time."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Any

import pytest
import torch
from scribe_judge_hf import endpoint as module_under_test
from scribe_judge_hf import reading
from scribe_judge_hf.endpoint import HFEndpoint, plan
from structlog.testing import capture_logs

from scribe_core import aio
from scribe_core.judging import CallError, Prompt, Question, TooLongError
from scribe_core.judging.replies import read_probabilities

ROUNDING = 1e-5
"""Relative: float32 sums of some hundred terms in another order, through two layers, are about 1e-6 apart."""

Make = Callable[..., Prompt]
Table = Mapping[str, Mapping[str, float]]


def ask(endpoint: HFEndpoint, prompts: Sequence[Prompt]) -> list[Table]:
    """All at once: the thread that computes is held until every prompt waits."""
    all_wait = Event()

    async def together() -> list[Any]:
        endpoint._gathering._thread.submit(all_wait.wait)
        asked = [asyncio.ensure_future(endpoint.ask(prompt, 0)) for prompt in prompts]
        await asyncio.sleep(0)
        all_wait.set()
        return await asyncio.gather(*asked)

    return [json.loads(reply.text) for reply in aio.run(together())]


def straight(endpoint: HFEndpoint, prompt: Prompt) -> dict[str, dict[str, float]]:
    """One plain forward pass per question and answer."""
    laid = endpoint._layout.lay(prompt)
    return {
        branch.question: {
            answer: _chance(endpoint, [*laid.prompt, *branch.stem], list(tokens))
            for answer, tokens in branch.answers
        }
        for branch in laid.branches
    }


@torch.inference_mode()
def _chance(endpoint: HFEndpoint, context: list[int], answer: list[int]) -> float:
    logits = endpoint._module(input_ids=torch.tensor([context + answer])).logits[0].double()
    chances = logits[len(context) - 1 :].softmax(-1)
    each = [chances[i, token] for i, token in enumerate(answer)]
    return float(torch.stack(each).prod() * chances[-1, endpoint._closers].sum())


def test_equals_one_sequence_at_a_time(endpoint: HFEndpoint, prompts: list[Prompt]) -> None:
    for table, prompt in zip(ask(endpoint, prompts), prompts, strict=True):
        for id_, chances in straight(endpoint, prompt).items():
            assert table[id_] == pytest.approx(chances, rel=ROUNDING)
            assert all(chances.values())


@pytest.mark.parametrize("batch_tokens", [256, 1024])
def test_does_not_depend_on_the_batch(
    endpoint: HFEndpoint, endpoint_of: Callable[..., HFEndpoint], batch_tokens: int, prompts: list[Prompt]
) -> None:
    alone = [ask(endpoint, [prompt])[0] for prompt in prompts]
    other = endpoint_of(batch_tokens=batch_tokens)
    for one, another in zip(alone, ask(other, prompts), strict=True):
        for id_ in one:
            assert another[id_] == pytest.approx(one[id_], rel=ROUNDING)


def test_answers_that_begin_with_one_another_are_different_events(
    endpoint: HFEndpoint, make_prompt: Make
) -> None:
    """A model that writes `none-at-all"` has not written `none"`."""
    (laid,) = (endpoint._layout.lay(make_prompt("x", make_prompt("").questions[1:])),)
    tokens = dict(laid.branches[0].answers)
    path = [*laid.prompt, *laid.branches[0].stem, *tokens["none-at-all"]]
    written = _always(endpoint, path)
    table = _table(endpoint, written, make_prompt("x", make_prompt("").questions[1:]))
    assert table["slip"] == pytest.approx({"none": 0, "none-at-all": 1, "non": 0}, abs=1e-6)


def _always(endpoint: HFEndpoint, path: list[int]) -> dict[int, int]:
    """What follows each position of a path, and then an end of the answer."""
    return dict(enumerate([*path[1:], int(endpoint._closers[0])]))


def _table(endpoint: HFEndpoint, written: Mapping[int, int], prompt: Prompt) -> Table:
    """The probabilities under logits that write `written`, by position."""
    laid = endpoint._layout.lay(prompt)
    head = endpoint._module.lm_head
    seen: list[Any] = []

    def positions(_: Any, __: Any, given: dict[str, Any]) -> None:
        seen.append((given["position_ids"], given["logits_to_keep"]) if "position_ids" in given else None)

    def logits(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        if seen[-1] is None:
            return output
        places, kept = seen[-1]
        output = torch.full_like(output, -50.0)
        for column, place in enumerate(places[0, kept].tolist()):
            output[0, column, written[place]] = 50.0 if place in written else 0.0
        return output

    hooks = [
        endpoint._module.register_forward_pre_hook(positions, with_kwargs=True),
        head.register_forward_hook(logits),
    ]
    try:
        shared, branches, batches = next(iter(plan([laid], 4096)))
        prefix = reading.prefill(endpoint._module, shared)
        rests = [each.prompt[len(shared) :] for each in batches[0]]
        row = reading.read(endpoint._module, prefix, rests, reading.grow(branches), endpoint._closers)[0]
        return {b.question: dict(zip([a for a, _ in b.answers], row.tolist(), strict=True)) for b in branches}
    finally:
        for hook in hooks:
            hook.remove()


def test_probabilities_are_of_different_answers_and_the_rest_is_reported(
    endpoint_of: Callable[..., HFEndpoint], prompts: list[Prompt]
) -> None:
    endpoint = endpoint_of()
    with capture_logs() as logs:
        tables = ask(endpoint, prompts)
    for table in tables:
        answers = read_probabilities(json.dumps(table), prompts[0].questions)
        assert all(0 < sum((a.probabilities or {}).values()) < 1 for a in answers.values())
    warnings = [each for each in logs if each["event"] == "judge_answers_outside"]
    assert len(warnings) == 1, "a model is warned of once"
    assert warnings[0]["outside"] > 0.05


def test_too_long_a_prompt_is_an_error_with_its_cause_and_hurts_no_other(
    endpoint: HFEndpoint, make_prompt: Make
) -> None:
    async def together() -> list[Any]:
        prompts = [make_prompt("x" * 5000), make_prompt("short")]
        return await asyncio.gather(*(endpoint.ask(p, 0) for p in prompts), return_exceptions=True)

    long, short = aio.run(together())
    assert isinstance(long, TooLongError)
    assert "context 4096" in str(long)
    assert json.loads(short.text)["right-tool"]


def test_a_text_that_cannot_be_tokenised_hurts_no_other(endpoint: HFEndpoint, make_prompt: Make) -> None:
    async def together() -> list[Any]:
        asked = [make_prompt("\ud800"), make_prompt("fine")]
        return await asyncio.gather(*(endpoint.ask(p, 0) for p in asked), return_exceptions=True)

    broken, fine = aio.run(together())
    assert isinstance(broken, CallError)
    assert json.loads(fine.text)["right-tool"]


def test_a_batch_that_does_not_fit_into_memory_is_halved(
    endpoint: HFEndpoint, monkeypatch: pytest.MonkeyPatch, prompts: list[Prompt]
) -> None:
    expected, sizes, read = ask(endpoint, prompts), [], reading.read

    def scarce(module: Any, prefix: Any, rests: Any, *rest: Any) -> Any:
        sizes.append(len(rests))
        if len(rests) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return read(module, prefix, rests, *rest)

    monkeypatch.setattr(module_under_test.reading, "read", scarce)
    for one, another in zip(expected, ask(endpoint, prompts), strict=True):
        for id_ in one:
            assert another[id_] == pytest.approx(one[id_], rel=ROUNDING)
    assert max(sizes) > 1


def test_no_memory_for_one_prompt_is_an_error_of_the_call(
    endpoint: HFEndpoint, monkeypatch: pytest.MonkeyPatch, prompts: list[Prompt]
) -> None:
    def none(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(module_under_test.reading, "read", none)
    with pytest.raises(CallError, match="out of memory"):
        ask(endpoint, prompts[:1])


def test_weights_without_numbers_are_an_error_of_the_call(
    endpoint_of: Callable[..., HFEndpoint], prompts: list[Prompt]
) -> None:
    endpoint = endpoint_of()
    with torch.no_grad():
        endpoint._module.lm_head.weight.fill_(float("nan"))
    with pytest.raises(CallError, match="no probabilities"):
        ask(endpoint, prompts[:1])


def test_equal_prompts_are_computed_once(
    endpoint: HFEndpoint, monkeypatch: pytest.MonkeyPatch, make_prompt: Make
) -> None:
    rows, read = [], reading.read

    def counted(module: Any, prefix: Any, rests: Any, *rest: Any) -> Any:
        rows.extend(rests)
        return read(module, prefix, rests, *rest)

    monkeypatch.setattr(module_under_test.reading, "read", counted)
    prompts = [make_prompt(text, fence=fence) for text in "ab" for fence in ("c" * 16, "d" * 16)]
    tables = ask(endpoint, prompts)
    assert len(rows) == 2
    assert tables[0] == tables[1] != tables[2] == tables[3]


def test_an_interrupt_leaves_nothing_behind(endpoint: HFEndpoint, prompts: list[Prompt]) -> None:
    async def interrupted() -> None:
        tasks = [asyncio.ensure_future(endpoint.ask(prompt, 0)) for prompt in prompts]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    aio.run(interrupted())
    assert len(ask(endpoint, prompts)) == len(prompts)


def test_two_event_loops_at_once(endpoint: HFEndpoint, prompts: list[Prompt]) -> None:
    async def elsewhere() -> list[Table]:
        return await asyncio.to_thread(ask, endpoint, prompts)

    assert len(asyncio.run(elsewhere())) == len(prompts)
    reply = asyncio.run(endpoint.ask(prompts[0], 0))
    assert json.loads(reply.text)["slip"] == pytest.approx(
        ask(endpoint, prompts[:1])[0]["slip"], rel=ROUNDING
    )


def test_a_batch_keeps_its_bound(endpoint: HFEndpoint, prompts: list[Prompt]) -> None:
    laid = [endpoint._layout.lay(prompt) for prompt in prompts]
    laid = list(dict.fromkeys(laid))
    answered = []
    for shared, branches, batches in plan(laid, 700):
        for batch in batches:
            width = max(each.size for each in batch) - len(shared)
            assert len(batch) == 1 or width * len(batch) <= 700
            assert all(each.prompt[: len(shared)] == shared for each in batch)
            assert all(len(each.prompt) > len(shared) and each.branches == branches for each in batch)
            answered += batch
    assert sorted(answered, key=repr) == sorted(laid, key=repr)


def test_questions_are_grouped(endpoint: HFEndpoint, make_prompt: Make) -> None:
    other = Question(id="other", text="Is it short?", answers=("yes", "no"))
    prompts = [make_prompt("a", [other]), make_prompt("b"), make_prompt("c", [other]), make_prompt("d")]
    for table, prompt in zip(ask(endpoint, prompts), prompts, strict=True):
        assert {
            id_: pytest.approx(row, rel=ROUNDING) for id_, row in straight(endpoint, prompt).items()
        } == table
