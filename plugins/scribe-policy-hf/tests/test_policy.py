"""Sampling and log-probabilities agree with each other and with plain transformers."""

import json
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from attrs import evolve
from scribe_policy_hf import linear, packing
from scribe_policy_hf.builder import HF, Lora
from scribe_policy_hf.cache import RoomyLayer, SharedCache
from scribe_policy_hf.generate import Request, generate
from scribe_policy_hf.memory import Memory
from scribe_policy_hf.testing import tiny_model

from scribe_core.errors import ConfigError, RunError
from scribe_core.protocols import TokenRow
from scribe_core.types import Conversation, Message, Sampling


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def policy(folder: Path):
    return HF(model=str(folder), dtype="float32").build()


def ask(text: str) -> Conversation:
    return Conversation(messages=(Message(role="user", content=text),))


ROWS = [
    TokenRow((5, 6, 7), (8, 9, 10, 11), (True, True, False, True)),
    TokenRow((5, 6, 7), (20, 21), (True, True)),
    TokenRow((5, 6, 7), (30,), (True,)),
    TokenRow((40, 41, 42, 43, 44), (50, 51, 52), (True, True, True)),
]


def plain_logprobs(folder: Path, row: TokenRow) -> torch.Tensor:
    module = transformers.AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.tensor([row.context + row.tokens])
    logits = module(ids).logits[0].log_softmax(-1)
    return logits[torch.arange(len(row.context) - 1, ids.shape[1] - 1), torch.tensor(row.tokens)]


@pytest.mark.parametrize("reach", [inf, 1.0, None])
def test_logprobs_equal_those_of_the_unpacked_model(policy, folder: Path, reach: float | None) -> None:
    ours = packing.logprobs(policy.module, ROWS, reach=reach, pad_id=0)
    assert ours.shape == (4, 4)
    for got, row in zip(ours, ROWS, strict=True):
        assert torch.allclose(got[: len(row.tokens)], plain_logprobs(folder, row), atol=1e-5)
        assert (got[len(row.tokens) :] == 0).all()


def test_packing_shares_the_context_and_leaves_the_gradient_alone(policy) -> None:
    gradients = []
    for reach, shape in ((inf, (2, 12)), (1.0, (3, 9)), (None, (4, 9))):
        assert packing.pack(ROWS, 0, reach).ids.shape == shape
        policy.module.zero_grad()
        packing.logprobs(policy.module, ROWS, reach=reach, pad_id=0).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in policy.module.parameters()]))
    policy.module.zero_grad()
    for each in gradients[1:]:
        assert torch.allclose(each, gradients[0], rtol=1e-4, atol=1e-5)


def test_a_pack_has_as_many_rows_as_are_fastest() -> None:
    """Against the time of every number of rows, (t + t^2 / reach) / k for t = context + k n."""
    for context, n, reach in ((100, 20, 1500.0), (100, 200, 1500.0), (400, 60, 300.0), (30, 40, 5000.0)):
        row = TokenRow(tuple(range(context)), tuple(range(n)), (True,) * n)
        packs = packing.pack([row] * 64, 0, reach).ids.shape[0]
        time = {k: (t + t * t / reach) / k for k in range(1, 65) if (t := context + k * n)}
        assert time[64 // packs] <= 1.05 * min(time.values())


def test_reach_counts_the_weights_that_a_token_meets(policy) -> None:
    config = policy.module.config
    head = config.hidden_size // config.num_attention_heads
    queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
    layer = config.hidden_size * (2 * queries + 2 * keys + 3 * config.intermediate_size)
    assert packing.reach(policy.module) == pytest.approx(layer / queries / 2)


def test_sampled_logprobs_are_those_of_training(policy) -> None:
    conversations = [ask("one"), ask("one"), ask("a longer question than that")]
    done = policy.generate(conversations, Sampling(max_tokens=10), [1, 2, 3])
    rows = policy.rows(
        [Conversation(messages=(*c.messages, d.message)) for c, d in zip(conversations, done, strict=True)]
    )
    trained = policy.logprobs(rows)
    for row, completion in zip(trained, done, strict=True):
        sampled = torch.tensor(completion.message.sampled.logprobs)
        assert torch.allclose(row[: len(sampled)], sampled, atol=1e-4)


@pytest.mark.parametrize("reach", [inf, None])
def test_logprobs_are_at_the_temperature_of_each_row(policy, reach: float | None) -> None:
    warm = [evolve(row, temperature=t) for row, t in zip(ROWS, [0.5, 0.5, 2.0, 1.0], strict=True)]
    values = packing.logprobs(policy.module, warm, reach=reach, pad_id=0)
    for row, found in zip(warm, values, strict=True):
        ids = torch.tensor([row.context + row.tokens])
        logits = policy.module(ids).logits[0, len(row.context) - 1 : -1]
        expected = (logits / row.temperature).log_softmax(-1)
        expected = expected[torch.arange(len(row.tokens)), torch.tensor(row.tokens)]
        assert torch.allclose(found[: len(row.tokens)], expected, atol=1e-5)


def test_a_row_depends_on_its_seed_and_not_on_its_neighbours(policy) -> None:
    alone = policy.generate([ask("b")], Sampling(max_tokens=8), [5])[0].message
    among = policy.generate([ask("aaaa"), ask("b"), ask("b")], Sampling(max_tokens=8), [4, 5, 6])
    assert among[1].message.sampled.token_ids == alone.sampled.token_ids
    assert among[2].message.sampled.token_ids != alone.sampled.token_ids


def test_greedy_equals_transformers_generate(policy, folder: Path) -> None:
    message = policy.generate([ask("hello")], Sampling(temperature=0, max_tokens=9), [0])[0].message
    module = transformers.AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.tensor([message.sampled.context_ids])
    expected = module.generate(ids, do_sample=False, max_new_tokens=9, eos_token_id=2, pad_token_id=0)
    assert list(message.sampled.token_ids) == expected[0, ids.shape[1] :].tolist()


@pytest.fixture
def peaked(folder: Path):
    """A policy that is sure of something, as trained ones are."""
    policy = HF(model=str(folder), dtype="float32").build()
    with torch.no_grad():
        policy.module.lm_head.weight.mul_(15)
    return policy


@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.7])
def test_sampling_follows_the_distribution(peaked, temperature: float) -> None:
    """Of plain logits / temperature; each temperature's draws fit no other's."""
    count = 2000
    done = peaked.generate(
        [ask("x")] * count, Sampling(max_tokens=1, temperature=temperature), list(range(count))
    )
    drawn = torch.tensor([d.message.sampled.token_ids[0] for d in done])
    with torch.no_grad():
        logits = peaked.module(torch.tensor([done[0].message.sampled.context_ids])).logits[0, -1]
    observed = torch.bincount(drawn, minlength=len(logits)) / count

    def fits(at: float) -> bool:
        chances = (logits / at).softmax(-1)
        assert chances.max() > 0.05
        return bool(
            ((observed - chances).abs() <= 5 * (chances * (1 - chances) / count).sqrt() + 1 / count).all()
        )

    assert [fits(at) for at in (1.0, 0.6, 1.7)] == [at == temperature for at in (1.0, 0.6, 1.7)]


def test_rows_that_leave_the_batch_change_no_other(peaked, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    select = RoomyLayer.batch_select_indices
    monkeypatch.setattr(
        RoomyLayer,
        "batch_select_indices",
        lambda layer, index: (left.append(len(index)), select(layer, index))[1],
    )
    asked = [ask("aaaa"), ask("b"), ask("ccc"), ask("b")] * 4
    peaked._end_ids |= set(range(20, 60))
    sampling = Sampling(max_tokens=24, temperature=1.5)
    together = peaked.generate(asked, sampling, range(16))
    assert left, "no row ended early"
    for i, completion in enumerate(together):
        alone = peaked.generate([asked[i]], sampling, [i])[0]
        assert completion.message.sampled.token_ids == alone.message.sampled.token_ids
    assert len({len(each.message.sampled.token_ids) for each in together}) > 2


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_that_share_prompts_sample_what_the_plain_model_gives(
    policy, folder: Path, monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    """Prompts of many lengths, rows in any order and of any length; whole prompts leave with their rows."""
    left: list[tuple[int, int]] = []
    select = SharedCache.batch_select_indices

    def watched(cache: SharedCache, index: torch.Tensor) -> None:
        select(cache, index)
        left.append((len(cache.prompts[0][0]), len(index)))

    monkeypatch.setattr(SharedCache, "batch_select_indices", watched)
    a, b, c = tuple(range(3, 70)), tuple(range(3, 25)), (90, 91)
    prompts, rooms = [a, b, a, c, a, b, c, c], [45, 2, 40, 9, 1, 3, 4, 1]
    options: dict[str, Any] = {
        "temperature": temperature,
        "end_ids": frozenset(),
        "pad_id": 0,
        "memory": Memory(0),
    }
    asked = [
        Request(prompt=prompt, room=room, seed=i)
        for i, (prompt, room) in enumerate(zip(prompts, rooms, strict=True))
    ]
    draws = generate(policy.module, asked, **options)
    assert {(2, 3), (1, 2)} <= {*left}, left
    for prompt, room, draw in zip(prompts, rooms, draws, strict=True):
        row = TokenRow(prompt, draw.token_ids, (True,) * room)
        assert torch.allclose(torch.tensor(draw.logprobs), plain_logprobs(folder, row), atol=1e-5)


def test_sampling_leaves_the_layers_as_they_were(folder: Path) -> None:
    """Also where it breaks; the next samples come from the weights as they are by then."""
    policy = HF(model=str(folder), dtype="float32").build()
    options: dict[str, Any] = {"temperature": 0.0, "end_ids": frozenset(), "pad_id": 0, "memory": Memory(0)}
    asked = [Request(prompt=(5, 6), room=4, seed=0)]
    generate(policy.module, asked, **options)
    with pytest.raises(IndexError):
        generate(policy.module, [Request(prompt=(10**6,), room=4, seed=0)], **options)
    assert not any("forward" in vars(layer) for layer in policy.module.modules())
    with torch.no_grad():
        policy.module.lm_head.weight.neg_()
    (draw, *_) = generate(policy.module, asked, **options)
    assert draw.token_ids[0] == int(policy.module(torch.tensor([[5, 6]])).logits[0, -1].argmax())


def test_layers_are_as_they_were_where_laying_out_breaks(policy, monkeypatch: pytest.MonkeyPatch) -> None:
    if not linear._suits(policy.module.lm_head):
        pytest.skip("torch is built without oneDNN")
    made: list[Any] = []

    def breaks_later(*given: Any) -> Any:
        made.append(given)
        if len(made) == 3:
            raise MemoryError
        return partial(*given)

    monkeypatch.setattr("scribe_policy_hf.linear.partial", breaks_later)
    with pytest.raises(MemoryError), linear.laid_out(policy.module):
        raise AssertionError("nothing is laid out")
    assert not any("forward" in vars(layer) for layer in policy.module.modules())


def test_a_prompt_of_many_rows_among_many_of_one_is_what_the_plain_model_gives(policy, folder: Path) -> None:
    prompts = [(5, 6, 7)] * 4 + [(90 + i, 91, 92 + i) for i in range(4)]
    asked = [Request(prompt=prompt, room=6, seed=i) for i, prompt in enumerate(prompts)]
    draws = generate(policy.module, asked, temperature=1.0, end_ids=frozenset(), pad_id=0, memory=Memory(0))
    for request, draw in zip(asked, draws, strict=True):
        row = TokenRow(request.prompt, draw.token_ids, (True,) * 6)
        assert torch.allclose(torch.tensor(draw.logprobs), plain_logprobs(folder, row), atol=1e-5)


@pytest.mark.parametrize("start", [0, 15, 16, 40])
def test_a_common_start_is_computed_once_and_changes_nothing(
    peaked, monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    prompts = [(*range(3, 3 + start), *rest) for rest in ((50,), (51, 52, 53, 54, 55), (56, 57))]
    prompts += [prompts[0]]
    seen: list[int] = []
    forward = peaked.module.forward
    monkeypatch.setattr(
        peaked.module,
        "forward",
        lambda **given: (seen.append(given["input_ids"].numel()), forward(**given))[1],
    )
    options: dict[str, Any] = {
        "temperature": 1.0,
        "end_ids": frozenset({2}),
        "pad_id": 0,
        "memory": Memory(0),
    }
    asked = [Request(prompt=prompt, room=9, seed=i) for i, prompt in enumerate(prompts)]
    together = generate(peaked.module, asked, **options)
    # One start and three rests, padded to the longest; or three prompts, padded.
    assert seen[:2] == [start, 3 * 5] if start >= 16 else seen[0] == 3 * (start + 5)
    for request, draw in zip(asked, together, strict=True):
        (alone,) = generate(peaked.module, [request], **options)
        assert draw.token_ids == alone.token_ids
        assert draw.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_nothing_is_sampled_beyond_the_models_positions(tmp_path: Path) -> None:
    """Whoever has no room gets nothing, whoever has little is cut there, and the others do not notice."""
    folder = tiny_model(tmp_path)
    whole = HF(model=str(folder), dtype="float32").build()
    asked = [ask("x" * 200), ask("b"), ask("c" * 8)]
    config = json.loads((folder / "config.json").read_text())
    limit = len(whole._context(asked[2])[1]) + 3
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": limit}))
    short = HF(model=str(folder), dtype="float32").build()
    sampling = Sampling(max_tokens=9)
    found, expected = (each.generate(asked, sampling, [1, 2, 3]) for each in (short, whole))
    assert [len(each.message.sampled.token_ids) for each in found] == [0, 9, 3]
    assert [each.finish_reason for each in found] == ["length"] * 3
    for one, other, count in zip(found[1:], expected[1:], (9, 3), strict=True):
        assert one.message.sampled.token_ids == other.message.sampled.token_ids[:count]
    row = short.rows([Conversation(messages=(*asked[0].messages, found[0].message))])[0]
    assert (row.context, row.tokens) == ((), ())


def test_logits_that_are_not_finite_end_the_run(folder: Path) -> None:
    policy = HF(model=str(folder), dtype="float32").build()
    with torch.no_grad():
        policy.module.lm_head.weight[5] = float("nan")
    with pytest.raises(RunError, match="not finite"):
        policy.generate([ask("x")], Sampling(), [0])


def test_save_and_load_restore_the_weights(policy, tmp_path: Path) -> None:
    policy.save(tmp_path)
    before = policy.logprobs(ROWS).detach()
    with torch.no_grad():
        for weight in policy.module.parameters():
            weight.add_(0.1)
    assert not torch.allclose(policy.logprobs(ROWS), before)
    policy.load(tmp_path)
    assert torch.equal(policy.logprobs(ROWS), before)
    assert torch.equal(HF(model=str(tmp_path), dtype="float32").build().logprobs(ROWS), before)


@pytest.mark.parametrize("lora", [None, Lora(rank=2, alpha=4)])
def test_the_reference_stays_where_the_run_began(folder: Path, lora: Lora | None) -> None:
    policy = HF(model=str(folder), dtype="float32", lora=lora).build()
    before = policy.logprobs(ROWS).detach()
    with torch.no_grad():
        for weight in policy.module.parameters():
            if weight.requires_grad:
                weight.add_(0.1)
    assert not torch.allclose(policy.logprobs(ROWS), before)
    assert torch.allclose(policy.reference_logprobs(ROWS), before, atol=1e-6)
    assert not policy.reference_logprobs(ROWS).requires_grad


@pytest.mark.parametrize(
    ("model", "fragment"),
    [("./nowhere", "neither a folder with a config.json"), ("no-such-org/no-such-model", "choices")],
)
def test_a_model_that_is_not_there_is_a_config_error(model: str, fragment: str) -> None:
    with pytest.raises(ConfigError, match=fragment):
        HF(model=model).build()


def test_a_checkpoint_cut_short_is_a_config_error(folder: Path, tmp_path: Path) -> None:
    broken = tiny_model(tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ConfigError, match="cannot be loaded"):
        HF(model=str(broken)).build()


def test_a_run_stands_for_its_last_checkpoint(folder: Path, tmp_path: Path) -> None:
    for step in (5, 10):
        tiny_model(tmp_path / "checkpoints" / f"step-{step:06d}" / "policy", seed=step)
    expected = HF(model=str(tmp_path / "checkpoints" / "step-000010" / "policy"), dtype="float32").build()
    assert torch.equal(
        HF(model=str(tmp_path), dtype="float32").build().logprobs(ROWS), expected.logprobs(ROWS)
    )
