"""Advantages, the objective, and what a step does to a policy."""

import math
from pathlib import Path

import pytest
import torch
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load as load_file_bytes
from safetensors.torch import save
from scribe_grpo import advantages, losses
from scribe_grpo.builders import GRPO, SFT
from scribe_grpo.credit import token_advantages
from scribe_grpo.losses import clipped_gain, kl, token_ratio
from scribe_grpo.masters import AdamOptions, MasterAdamW
from scribe_grpo.updates import micro_batches

from scribe_core.errors import DataError, RunError
from scribe_core.evaluation import unscored
from scribe_core.protocols import TokenRow
from scribe_core.types import Conversation, Message, Reward, Sampling, Scored, ToolCall, Trajectory

scribe_policy_hf = pytest.importorskip("scribe_policy_hf", reason="needs a policy to train")


@pytest.fixture
def policy(tmp_path: Path):
    from scribe_policy_hf.builder import HF
    from scribe_policy_hf.testing import tiny_model

    return HF(model=str(tiny_model(tmp_path / "tiny")), dtype="float32").build()


def episode(rewards: list[float], noise_floor: float = 0.05) -> list[float]:
    return advantages.episode(torch.tensor(rewards, dtype=torch.float64), noise_floor).tolist()


def test_advantages_by_hand() -> None:
    assert episode([1.0, 0.0, 1.0, 0.0]) == [1.0, -1.0, 1.0, -1.0]
    assert episode([0.7, 0.7, 0.7]) == [0.0, 0.0, 0.0]
    assert episode([0.7]) == [0.0]
    assert episode([]) == []


def test_the_floor_keeps_noise_small() -> None:
    flipped = [0.94] + [0.96] * 7
    assert max(map(abs, episode(flipped))) == pytest.approx(0.35)
    assert max(map(abs, episode(flipped, 1e-9))) == pytest.approx(2.6458, abs=1e-4)


rewards = st.lists(st.floats(0, 1), min_size=2, max_size=8)


@given(rewards, st.integers(0, 8))
def test_a_failed_row_moves_no_other_row(values: list[float], where: int) -> None:
    where = min(where, len(values))
    with_failed = episode([*values[:where], math.nan, *values[where:]])
    assert with_failed[where] == 0
    assert with_failed[:where] + with_failed[where + 1 :] == episode(values)


@given(rewards)
def test_advantages_of_a_group_sum_to_zero(values: list[float]) -> None:
    assert math.fsum(episode(values)) == pytest.approx(0, abs=1e-6)


def test_the_clipped_objective_by_hand() -> None:
    old = torch.zeros(2, 3)
    new = torch.tensor([[1.5, 1.1, 0.5]] * 2).log()
    ratio = token_ratio(new, old)
    gain, clipped = clipped_gain(ratio, torch.tensor([[1.0], [-1.0]]), 0.2, 0.2)
    assert torch.allclose(gain, torch.tensor([[1.2, 1.1, 0.5], [-1.5, -1.1, -0.8]]))
    assert clipped.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_kl_is_zero_at_the_reference_and_positive_elsewhere() -> None:
    a = torch.tensor([-1.0, -2.0])
    assert kl(a, a).tolist() == [0, 0]
    assert (kl(a, a - 0.5) > 0).all()
    assert (kl(a, a + 0.5) > 0).all()


def test_kl_estimates_the_divergence_from_the_reference() -> None:
    """Of the policy from the reference, not the other way round: its mean under the policy is exact."""
    ours, reference = torch.tensor([0.7, 0.2, 0.1]).log(), torch.tensor([0.1, 0.3, 0.6]).log()
    mean = float((ours.exp() * kl(ours, reference)).sum())
    assert mean == pytest.approx(float((ours.exp() * (ours - reference)).sum()))
    assert mean != pytest.approx(float((reference.exp() * (reference - ours)).sum()), abs=0.05)


def test_times_the_ratio_the_gradient_of_kl_is_that_of_the_divergence() -> None:
    """The mean over what was sampled of d(ratio * kl), on-policy; without the ratio it is another's."""
    reference = torch.tensor([0.1, 0.3, 0.6]).log()

    def gradient(of) -> torch.Tensor:
        logits = torch.tensor([1.0, 0.5, -1.0], requires_grad=True)
        ours = logits.log_softmax(-1)
        of(ours, ours.detach()).backward()
        assert logits.grad is not None
        return logits.grad

    exact = gradient(lambda ours, _: (ours.exp() * (ours - reference)).sum())
    assert torch.allclose(
        gradient(lambda ours, old: (old.exp() * token_ratio(ours, old) * kl(ours, reference)).sum()), exact
    )
    assert not torch.allclose(gradient(lambda ours, old: (old.exp() * kl(ours, reference)).sum()), exact, 0.1)


def rollouts(policy, texts_rewards, question: str = "q"):
    ask = Message(role="user", content=question)
    scored = []
    for i, (text, reward) in enumerate(texts_rewards):
        answer = Message(role="assistant", content=text)
        trajectory = Trajectory(id=str(i), group_id="g", messages=(ask, answer))
        scored.append(
            Scored(
                trajectory=trajectory,
                judgements=(),
                reward=Reward(value=reward, process=reward, outcome=None),
            )
        )
    return scored


def chance(policy, text: str) -> float:
    messages = (Message(role="user", content="q"), Message(role="assistant", content=text))
    with torch.no_grad():
        return float(policy.logprobs(policy.rows([Conversation(messages=messages)])).sum())


def weights(policy) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in policy.module.parameters()]).clone()


def test_a_step_raises_what_was_rewarded(policy) -> None:
    good, bad = chance(policy, "yes"), chance(policy, "no")
    optimizer = GRPO(learning_rate=1e-3).build()
    metrics = optimizer.step(policy, [rollouts(policy, [("yes", 1.0), ("no", 0.0)])])
    assert chance(policy, "yes") > good
    assert chance(policy, "no") < bad
    assert policy.version == 1
    assert all(math.isfinite(value) for value in metrics.values())


def test_the_gradient_is_that_of_the_sampled_distribution(policy) -> None:
    """At temperature T: d log softmax(logits / T)."""
    asked = [Conversation(messages=(Message(role="user", content="q"),))] * 2
    first, second = policy.generate(asked, Sampling(temperature=0.5, max_tokens=4), [1, 2])
    found, expected = [], []
    for completion, advantage in ((first, 1.0), (second, -1.0)):
        sampled = completion.message.sampled
        assert sampled is not None
        (row,) = policy.rows([Conversation(messages=(asked[0].messages[0], completion.message))])
        accumulate(GRPO(), policy, [row], [advantage])
        found.append(flat_gradient(policy))
        ids = torch.tensor([row.context + row.tokens])
        logits = policy.module(ids).logits[0, len(row.context) - 1 : -1] / 0.5
        chosen = logits.log_softmax(-1)[torch.arange(len(row.tokens)), torch.tensor(row.tokens)]
        (-advantage * chosen.mean()).backward()
        expected.append(flat_gradient(policy))
        assert chosen.tolist() == pytest.approx(sampled.logprobs, abs=1e-4)
    assert torch.allclose(torch.cat(found), torch.cat(expected), rtol=1e-3, atol=1e-6)


def accumulate(options: GRPO, policy, rows, values) -> None:
    """Adds the gradient of rollouts with these advantages."""
    tensors = [torch.full((len(row.tokens),), value) for row, value in zip(rows, values, strict=True)]
    optimizer = options.build()
    optimizer.accumulate(policy, optimizer.batch(scored_as(rows), rows, tensors))


def scored_as(rows):
    trajectory = Trajectory(id="t", messages=())
    return [Scored(trajectory=trajectory, judgements=(), reward=Reward(value=0, process=0, outcome=0))] * len(
        rows
    )


def flat_gradient(policy) -> torch.Tensor:
    gradient = torch.cat([p.grad.flatten() for p in policy.module.parameters()])
    policy.module.zero_grad()
    return gradient


def test_the_gradient_is_the_policy_gradient(policy) -> None:
    """On-policy, one epoch: d loss = - sum A d log pi / tokens, whatever the micro-batches."""
    group = rollouts(policy, [("yes", 1.0), ("no", 0.0), ("maybe", 0.0)])
    rows = policy.rows([Conversation(messages=s.trajectory.messages) for s in group])
    advantage = torch.tensor(episode([1.0, 0.0, 0.0]))
    total = sum(len(row.tokens) for row in rows)
    (-(policy.logprobs(rows) * advantage[:, None]).sum() / total).backward()
    expected = torch.cat([p.grad.flatten() for p in policy.module.parameters()])
    for batch_tokens in (8192, 1):
        policy.module.zero_grad()
        accumulate(GRPO(batch_tokens=batch_tokens), policy, rows, advantage.tolist())
        found = torch.cat([p.grad.flatten() for p in policy.module.parameters()])
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("values", [[0.5, 0.5], [None, None], [None, 0.3]])
def test_without_advantages_the_weights_stay(policy, values) -> None:
    before = weights(policy)
    GRPO().build().step(policy, [rollouts(policy, list(zip(["yes", "no"], values, strict=True)))])
    assert torch.equal(weights(policy), before)


@pytest.mark.parametrize("values", [[0.5, 0.5], [None, None]])
def test_a_step_without_a_signal_changes_nothing_after_others(policy, values) -> None:
    """Neither momentum nor decay, and the state saved is the same."""
    optimizer = GRPO(learning_rate=1e-2, weight_decay=0.1).build()
    learned = optimizer.step(policy, [rollouts(policy, [("yes", 1.0), ("no", 0.0)])])
    before = weights(policy)
    metrics = optimizer.step(policy, [rollouts(policy, list(zip(["yes", "no"], values, strict=True)))])
    assert torch.equal(weights(policy), before)
    assert (learned["skipped"], metrics["skipped"], policy.version) == (0.0, 1.0, 2)


def test_demonstrations_without_a_token_change_nothing(policy) -> None:
    optimizer = SFT(learning_rate=1e-2, weight_decay=0.1).build()
    optimizer.step(policy, [rollouts(policy, [("yes", None)])])
    before = weights(policy)
    asked = Trajectory(id="a", messages=(Message(role="user", content="q"),))
    silent = Scored(trajectory=asked, judgements=(), reward=Reward(value=None, process=None, outcome=None))
    assert optimizer.step(policy, [[silent]])["skipped"] == 1.0
    assert torch.equal(weights(policy), before)


def test_a_failed_row_leaves_the_update_alone(policy, tmp_path: Path) -> None:
    policy.save(tmp_path / "start")
    gradients = []
    for extra in ([], [("perhaps", None)]):
        policy.load(tmp_path / "start")
        group = rollouts(policy, [("yes", 1.0), ("no", 0.0), *extra])
        rows = policy.rows([Conversation(messages=s.trajectory.messages) for s in group])
        optimizer = GRPO().build()
        credit = token_advantages(group, rows, GRPO())
        optimizer.accumulate(policy, optimizer.batch(group, rows, credit))
        gradients.append(flat_gradient(policy))
    assert torch.equal(gradients[0], gradients[1])


def test_kl_pulls_back_to_the_reference(policy) -> None:
    rows = policy.rows(
        [Conversation(messages=(Message(role="user", content="q"), Message(role="assistant", content="yes")))]
    )
    optimizer = GRPO(kl=1.0, learning_rate=1e-3).build()
    drift = GRPO(learning_rate=1e-2).build()
    drift.step(policy, [rollouts(policy, [("yes", 1.0), ("no", 0.0)])])
    away = float(kl(policy.logprobs(rows), policy.reference_logprobs(rows)).sum().detach())
    for _ in range(10):
        optimizer.step(policy, [rollouts(policy, [("yes", 0.5), ("no", 0.5)])])
    assert float(kl(policy.logprobs(rows), policy.reference_logprobs(rows)).sum().detach()) < away / 2


def test_several_epochs_clip(policy) -> None:
    optimizer = GRPO(learning_rate=0.05, epochs=4, clip=0.05).build()
    metrics = optimizer.step(policy, [rollouts(policy, [("yes", 1.0), ("no", 0.0)])])
    assert metrics["clip_fraction"] > 0


def test_sft_learns_a_demonstration(policy) -> None:
    optimizer = SFT(learning_rate=1e-2).build()
    before = chance(policy, "yes")
    losses = [optimizer.step(policy, [rollouts(policy, [("yes", None)])])["loss"] for _ in range(20)]
    assert losses[-1] < losses[0] / 2
    assert chance(policy, "yes") > before


def test_a_gradient_that_is_not_finite_changes_nothing(policy) -> None:
    optimizer = SFT().build()
    optimizer._updater.prepare(policy)
    before = weights(policy)
    for weight in policy.module.parameters():
        weight.grad = torch.full_like(weight, float("nan"))
    assert optimizer._updater.apply() == {"grad_norm": 0.0, "skipped": 1.0}
    assert torch.equal(weights(policy), before)


def test_small_updates_add_up_in_bfloat16(tmp_path: Path) -> None:
    from scribe_policy_hf.builder import HF
    from scribe_policy_hf.testing import tiny_model

    policy = HF(model=str(tiny_model(tmp_path)), dtype="bfloat16").build()
    optimizer = SFT(learning_rate=1e-5, warmup_steps=0).build()
    before = weights(policy).float()
    for _ in range(60):
        optimizer.step(policy, [rollouts(policy, [("yes", None)])])
    moved = (weights(policy).float() - before).abs()
    assert policy.module.dtype == torch.bfloat16
    assert float(moved.max()) > 3e-4


def test_saved_state_goes_on_exactly(policy, tmp_path: Path) -> None:
    def groups(seed: int):
        texts = policy.generate(
            [Conversation(messages=(Message(role="user", content="q"),))] * 4,
            Sampling(max_tokens=6),
            range(seed, seed + 4),
        )
        return [rollouts(policy, [(c.message.raw, i / 3) for i, c in enumerate(texts)])]

    optimizer = GRPO(learning_rate=1e-3).build()
    optimizer.step(policy, groups(0))
    policy.save(tmp_path)
    optimizer.save(tmp_path)
    optimizer.step(policy, groups(10))
    expected = weights(policy)
    policy.load(tmp_path)
    again = GRPO(learning_rate=1e-3).build()
    again.load(tmp_path)
    again.step(policy, groups(10))
    assert torch.equal(weights(policy), expected)


def test_a_broken_optimizer_state_is_a_data_error(policy, tmp_path: Path) -> None:
    """When it is loaded, not when it is used."""
    path = tmp_path / "optimizer.safetensors"
    optimizer = GRPO().build()
    optimizer.step(policy, [rollouts(policy, [("yes", 1.0), ("no", 0.0)])])
    optimizer.save(tmp_path)
    whole = path.read_bytes()
    for spoilt in (b"\x80\x04garbage", whole[:-100], save({"a": torch.zeros(1)})):
        path.write_bytes(spoilt)
        with pytest.raises(DataError, match=r"optimizer\.safetensors"):
            GRPO().build().load(tmp_path)
    tensors = load_file_bytes(whole)
    name = next(name for name in tensors if name.startswith("exp_avg."))
    path.write_bytes(save(tensors | {name: tensors[name] * float("nan")}))
    with pytest.raises(DataError, match="not finite"):
        GRPO().build().load(tmp_path)


def test_a_state_that_was_only_loaded_is_saved_again(policy, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    optimizer = GRPO().build()
    optimizer.step(policy, [rollouts(policy, [("yes", 1.0), ("no", 0.0)])])
    optimizer.save(tmp_path)
    loaded = GRPO().build()
    loaded.load(tmp_path)
    loaded.save(tmp_path / "again")
    one, other = (
        load_file_bytes((folder / "optimizer.safetensors").read_bytes())
        for folder in (tmp_path, tmp_path / "again")
    )
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)


@pytest.mark.parametrize("builder", [GRPO(), SFT()])
def test_a_loss_that_is_not_finite_ends_the_run(policy, builder) -> None:
    optimizer = builder.build()
    group = rollouts(policy, [("yes", 1.0), ("no", 0.0)])
    with torch.no_grad():
        policy.module.lm_head.weight[5] = float("inf")
    before = weights(policy)
    with pytest.raises(RunError, match="the loss is nan after 0 updates"):
        optimizer.step(policy, [group])
    assert torch.equal(weights(policy), before)
    assert policy.version == 0


def test_warm_up_decay_and_the_norms_bound_by_hand() -> None:
    """AdamW's first step is the rate times the gradient's sign, whatever its size."""
    module = torch.nn.Linear(2, 1, bias=False)
    for decay, first in ((0.0, 0.9), (0.5, 0.85)):
        with torch.no_grad():
            module.weight[:] = 1.0
        options = AdamOptions(learning_rate=0.3, weight_decay=decay, max_grad_norm=5.0, warmup_steps=2)
        adam = MasterAdamW(module, options)
        module.weight.grad = torch.tensor([[6.0, 8.0]])
        assert adam.step() == pytest.approx(10.0)
        assert module.weight.tolist()[0] == pytest.approx([first, first])
        moment = adam._adam.state[adam._masters[0]]["exp_avg"]
        assert moment.tolist()[0] == pytest.approx([0.3, 0.4])
        rates = []
        for _ in range(3):
            module.weight.grad = torch.ones(1, 2)
            adam.step()
            rates.append(adam._adam.param_groups[0]["lr"])
        assert rates == pytest.approx([0.2, 0.3, 0.3])


def test_the_rate_falls_linearly_after_the_warm_up() -> None:
    options = AdamOptions(
        learning_rate=0.3, weight_decay=0.0, max_grad_norm=1.0, warmup_steps=2, decay_steps=4
    )
    rates = [options.rate(step) for step in range(1, 10)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.225, 0.15, 0.075, 0, 0, 0])


def test_a_gradient_that_exploded_changes_nothing(policy) -> None:
    group = rollouts(policy, [("yes", 1.0), ("no", 0.0)])
    before = weights(policy)
    metrics = GRPO(learning_rate=1e-2, skip_grad_norm=1e-6).build().step(policy, [group])
    assert metrics["skipped"] == 1
    assert metrics["grad_norm"] > 1e-6
    assert torch.equal(weights(policy), before)
    assert GRPO(skip_grad_norm=1e6).build().step(policy, [group])["skipped"] == 0


def test_lengths_and_weights_by_hand() -> None:
    lengths = torch.tensor([4.0, 1.0, 0.0])
    assert losses.grpo(lengths).tolist() == pytest.approx([1 / 12, 1 / 3, 1 / 3])
    assert losses.dr_grpo(lengths, 10).tolist() == pytest.approx([1 / 30] * 3)
    assert losses.dapo(lengths).tolist() == pytest.approx([0.2] * 3)


def test_the_ratio_of_a_sequence_by_hand() -> None:
    new, mask = torch.tensor([[1.0, 2.0, 9.0], [5.0, 5.0, 5.0]]), torch.tensor([[1.0, 1.0, 0.0], [0.0] * 3])
    assert losses.sequence_ratio(new, torch.zeros(2, 3), mask).tolist() == [
        [pytest.approx(math.exp(1.5))],
        [1.0],
    ]


def test_a_masked_truncated_rollout_is_compared_with_and_not_learned_from(policy) -> None:
    """Its reward stays in the group's mean; its tokens are in no gradient."""
    group = rollouts(policy, [("yes", 1.0), ("no", 0.0), ("maybe", 0.5)])
    group[0] = evolve(group[0], trajectory=evolve(group[0].trajectory, status="truncated"))
    rows = policy.rows([Conversation(messages=s.trajectory.messages) for s in group])
    for masked in (False, True):
        optimizer = GRPO(mask_truncated=masked).build()
        batch = optimizer.batch(group, rows, token_advantages(group, rows, GRPO()))
        assert [any(row.mask) for row in batch.rows] == [not masked, True, True]
        assert float(batch.advantages[1][0]) == pytest.approx(-math.sqrt(1.5))
        optimizer.accumulate(policy, batch)
        found = flat_gradient(policy)
        kept = [1, 2] if masked else [0, 1, 2]
        total = sum(len(rows[i].tokens) for i in kept)
        chosen = policy.logprobs([rows[i] for i in kept])
        values = torch.stack([batch.advantages[i][0] for i in kept])
        (-(chosen * values[:, None]).sum() / total).backward()
        assert torch.allclose(found, flat_gradient(policy), rtol=1e-4, atol=1e-7)


def test_the_figures_of_a_step(policy) -> None:
    asked = Conversation(messages=(Message(role="user", content="q"),))
    drawn = policy.generate([asked] * 3, Sampling(max_tokens=5), range(3))
    group = [
        Scored(
            trajectory=Trajectory(id=str(i), messages=(*asked.messages, completion.message)),
            judgements=(),
            reward=Reward(value=value, process=value, outcome=None),
        )
        for i, (completion, value) in enumerate(zip(drawn, (1.0, 0.0, None), strict=True))
    ]
    found = GRPO().build().step(policy, [group, [group[2]]])
    lengths = [len(c.message.sampled.token_ids) for c in drawn]
    logprobs = [value for i in (0, 1, 2, 2) for value in drawn[i].message.sampled.logprobs]
    assert found["entropy"] == pytest.approx(-sum(logprobs) / len(logprobs))
    assert found["advantage_max"] == pytest.approx(1.0)
    assert found["advantage_mean"] == pytest.approx((lengths[0] - lengths[1]) / sum(lengths[:2]))
    assert (found["zero_variance_groups"], found["failed_rows"]) == (0.5, 0.5)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 30), st.integers(0, 20)), max_size=20),
    st.integers(1, 200),
)
def test_micro_batches_hold_every_row_once_and_keep_groups_together(shapes, budget: int) -> None:
    rows = [TokenRow((c,) * length, (1,) * tokens, (True,) * tokens) for c, length, tokens in shapes]
    batches = list(micro_batches(rows, budget))
    assert sorted(i for batch in batches for i in batch) == list(range(len(rows)))
    home = {}
    for number, batch in enumerate(batches):
        for i in batch:
            assert home.setdefault(rows[i].context, number) == number


def test_sft_learns_what_is_said_between_tool_results_and_not_the_results(policy) -> None:
    """One update moves the chances of the plan's own tokens; those of the results are in no gradient."""
    call = Message(role="assistant", tool_calls=(ToolCall(name="look", arguments={"at": "a"}, id="1"),))
    plan = (
        *(Message(role="user", content="q"), call, Message(role="tool", content="12", tool_call_id="1")),
        *(
            call,
            Message(role="tool", content="34", tool_call_id="1"),
            Message(role="assistant", content="46"),
        ),
    )
    optimizer = SFT(learning_rate=1e-2, warmup_steps=0).build()
    group = [unscored(Trajectory(id="a", messages=plan))]
    (row,) = policy.rows([Conversation(messages=plan)])
    metrics = [optimizer.step(policy, [group]) for _ in range(20)]
    assert metrics[0]["tokens"] == sum(row.mask) < len(row.mask)
    own = torch.tensor(row.mask)
    before, after = policy.reference_logprobs([row])[0], policy.logprobs([row])[0].detach()
    assert metrics[0]["loss"] == pytest.approx(-float(before[own].mean()), rel=1e-4)
    assert metrics[-1]["loss"] < metrics[0]["loss"] / 2
    assert float((after - before)[own].mean()) > float((after - before)[~own].mean()) + 1
