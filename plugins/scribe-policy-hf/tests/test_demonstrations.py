"""Demonstrations of several turns are learnt from as they would have been sampled."""

import pytest
from attrs import evolve
from scribe_policy_hf.builder import HF
from scribe_policy_hf.testing import tiny_model

from scribe_core.builtin.stockroom.environment import Stockroom
from scribe_core.training import demonstration
from scribe_core.types import Conversation, Message, Sampling, Trajectory


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory):
    return HF(model=str(tiny_model(tmp_path_factory.mktemp("tiny"))), dtype="float32").build()


@pytest.fixture(scope="module")
def shown() -> list[Trajectory]:
    """One of each difficulty, 1 to 6."""
    environment = Stockroom(size=6).build()
    return [demonstration(task, environment) for task in environment.tasks("train")]


def learnt(row) -> list[tuple[int, ...]]:
    """The runs of tokens that the row learns from."""
    runs: list[list[int]] = [[]]
    for token, own in zip(row.tokens, row.mask, strict=True):
        runs[-1].append(token) if own else runs.append([])
    return [tuple(run) for run in runs if run]


def test_every_assistant_message_is_learnt_and_nothing_else(policy, shown) -> None:
    for trajectory in shown:
        (row,) = policy.rows([Conversation(messages=trajectory.messages, tools=trajectory.tools)])
        texts = [policy.tokenizer.decode(run) for run in learnt(row)]
        own = [message for message in trajectory.messages if message.role == "assistant"]
        assert len(texts) == len(own)
        for text, message in zip(texts, own, strict=True):
            assert text.endswith("<|im_end|>")
            assert message.content in text
            assert text.count('"arguments"') == len(message.tool_calls)
            assert all(f'"{call.name}"' in text for call in message.tool_calls)
        whole = policy.tokenizer.decode(row.context + row.tokens)
        results = [message.content for message in trajectory.messages if message.role == "tool"]
        assert all(result in whole for result in results)
        assert not any(result in text for result in results for text in texts[:-1] if len(result) > 12)


def test_the_tokens_are_those_of_a_rollout_that_said_the_same(policy, shown) -> None:
    """What a policy saw before each message when it sampled is what it sees when it learns from a demonstration."""
    for trajectory in shown:
        conversation = Conversation(messages=trajectory.messages, tools=trajectory.tools)
        (row,) = policy.rows([conversation])
        messages: tuple[Message, ...] = ()
        pieces = iter(learnt(row))
        for message in trajectory.messages:
            if message.role == "assistant":
                before = evolve(conversation, messages=messages)
                message = as_sampled(policy, message, before, next(pieces))
            messages += (message,)
        (sampled,) = policy.rows([evolve(conversation, messages=messages)])
        assert (sampled.context, sampled.tokens, sampled.mask) == (row.context, row.tokens, row.mask)


def as_sampled(policy, message: Message, before: Conversation, ids: tuple[int, ...]) -> Message:
    """The message as the policy would have returned it, had it drawn these tokens."""
    (drawn,) = policy.generate([before], Sampling(max_tokens=1), [0])
    zeros = (0.0,) * len(ids)
    sampled = evolve(drawn.message.sampled, token_ids=ids, logprobs=zeros, offsets=(0,) * len(ids))
    return evolve(message, raw=policy.tokenizer.decode(ids[:-1]), sampled=sampled)
