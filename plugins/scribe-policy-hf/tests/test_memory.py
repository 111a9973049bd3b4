"""What a conversation's next turn finds of its turns so far, and when it finds nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from scribe_policy_hf.builder import HF
from scribe_policy_hf.generate import Draw, Request, generate
from scribe_policy_hf.memory import Memory
from scribe_policy_hf.testing import tiny_model

from scribe_core.types import Conversation, Message, Sampling

ENDS = frozenset(range(0, 260, 6))
"""So many that rows end at different times."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(params=["scribe_grouped", "sdpa"])
def module(folder: Path, request: pytest.FixtureRequest) -> Any:
    found = HF(model=str(folder), dtype="float32").build().module
    found.set_attn_implementation(request.param)
    return found


def play(module: Any, requests: Sequence[Request], memory: Memory) -> list[Draw]:
    return generate(module, requests, temperature=1.0, end_ids=ENDS, pad_id=0, memory=memory)


def first_turn(module: Any, memory: Memory) -> list[tuple[int, ...]]:
    """The tokens of rows that ended: two prompts with several rows each, and one alone."""
    prompts = [tuple(range(3, 70)), (90, 91), tuple(range(3, 25))]
    asked = [Request(prompt=prompts[i % 5 % 3], room=40, seed=i) for i in range(12)]
    drawn = play(module, asked, memory)
    assert len({len(draw.token_ids) for draw in drawn}) > 4
    return [request.prompt + draw.token_ids for request, draw in zip(asked, drawn, strict=True) if draw.ended]


def second_turn(turns: Sequence[tuple[int, ...]]) -> list[Request]:
    """Each with something added, beside a conversation that begins."""
    later = [
        Request(prompt=(*turn, *range(100, 103 + i)), room=9, seed=i, begun=len(turn))
        for i, turn in enumerate(turns)
    ]
    return [*later, Request(prompt=tuple(range(7, 47)), room=9, seed=99)]


def plain(folder: Path, request: Request, draw: Draw) -> torch.Tensor:
    """The log-probabilities that transformers gives."""
    module = transformers.AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.tensor([request.prompt + draw.token_ids])
    logprobs = module(ids).logits[0, len(request.prompt) - 1 : -1].log_softmax(-1)
    return logprobs.gather(1, torch.tensor(draw.token_ids)[:, None]).squeeze(1)


def test_a_turn_behind_what_was_kept_is_what_the_plain_model_gives(module, folder: Path) -> None:
    memory = Memory(10_000)
    requests = second_turn(first_turn(module, memory))
    for request, draw in zip(requests, play(module, requests, memory), strict=True):
        assert torch.allclose(torch.tensor(draw.logprobs), plain(folder, request, draw), atol=1e-5)


def test_only_what_was_added_is_computed(module, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(10_000)
    requests = second_turn(first_turn(module, memory))
    widths: list[int] = []
    forward = module.forward
    monkeypatch.setattr(
        module, "forward", lambda **given: (widths.append(given["input_ids"].shape[1]), forward(**given))[1]
    )
    play(module, requests[:-1], memory)
    # What was added, and the token that ended the turn.
    assert max(widths) == len(requests) - 2 + 3 + 1


def test_a_third_turn_continues_the_second(module, folder: Path) -> None:
    memory = Memory(10_000)
    second = second_turn(first_turn(module, memory))
    third = [
        Request(prompt=(*turn, 110, 111), room=5, seed=7, begun=len(turn))
        for request, draw in zip(second, play(module, second, memory), strict=True)
        if draw.ended
        for turn in [request.prompt + draw.token_ids]
    ]
    assert all(memory.recall(request.prompt[: request.begun]) for request in third)
    assert not any(memory.recall(request.prompt[: request.begun]) for request in second), "they went on"
    assert len(third) > 2
    for request, draw in zip(third, play(module, third, memory), strict=True):
        assert torch.allclose(torch.tensor(draw.logprobs), plain(folder, request, draw), atol=1e-5)


def test_many_prompts_are_computed_in_parts(module, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scribe_policy_hf.prefill._CHUNK", 64)
    memory = Memory(10_000)
    requests = second_turn(first_turn(module, memory))
    for request, draw in zip(requests, play(module, requests, memory), strict=True):
        assert torch.allclose(torch.tensor(draw.logprobs), plain(folder, request, draw), atol=1e-5)


def test_the_oldest_leave_where_there_is_no_more_room() -> None:
    memory = Memory(10)
    states = [(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))]
    for start in (0, 10, 20):
        memory.keep(range(start, start + 4), states)
    memory.keep(range(20, 24), states)
    assert memory.recall(range(4)) is None
    assert memory.recall(range(10, 14)) is memory.recall(range(20, 24)) is states
    assert [memory.takes(range(start, 100)) for start in (89, 90)] == [False, True]
    assert not memory.takes(range(20, 24))


def conversation(*messages: Message) -> Conversation:
    return Conversation(messages=(Message(role="user", content="What is in stock?"), *messages))


def kept(policy: Any) -> int:
    return len(policy._memory._states)


@pytest.mark.parametrize("change", ["forget", "load", "update"])
def test_nothing_is_kept_of_other_weights_or_of_what_is_over(folder: Path, tmp_path: Path, change) -> None:
    policy = HF(model=str(folder), dtype="float32").build()
    policy._end_ids = ENDS
    asked, sampling = [conversation()] * 4, Sampling(max_tokens=40)
    firsts = [each.message for each in policy.generate(asked, sampling, range(4))]
    assert kept(policy) > 0
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in policy.module.parameters():
            weight.add_(torch.randn_like(weight) / 4)
    if change == "forget":
        policy.forget()
    elif change == "update":
        policy.version += 1
    else:
        policy.save(tmp_path)
        policy.load(tmp_path)
    follow = Message(role="tool", content="3 nuts", tool_call_id="call_0")
    turns = [conversation(first, follow) for first in firsts]
    found = policy.generate(turns, sampling, range(4))
    policy.forget()
    fresh = policy.generate(turns, sampling, range(4))
    assert [each.message.raw for each in found] == [each.message.raw for each in fresh]


def test_none_is_kept_where_none_is_asked_for(folder: Path) -> None:
    policy = HF(model=str(folder), dtype="float32", kept_tokens=0).build()
    policy._end_ids = ENDS
    policy.generate([conversation()] * 4, Sampling(max_tokens=40), range(4))
    assert kept(policy) == 0
