"""One GRPO step, timed, by one trainer: what grpo_step.py starts in a process of its own.

    python grpo_sides.py scribe|fp32|bf16|bf16_weights WORK.json

WORK.json says the model's folder, the groups' completion lengths, and how many steps; for TRL (the last three) also
the prompts, as text and ids. Each side's imports are in its functions: neither needs what the other has installed. The last line is one JSON object.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RATE = 1e-6


def scribe(work: dict[str, Any]) -> dict[str, Any]:
    """Rollouts in BFCL by the policy hf, then a step of grpo.

    Row i gets as many tokens as its length says: no token ends it, and there is room for no more.
    """
    import scribe_policy_hf.policy as hf
    from attrs import evolve
    from scribe_env_bfcl import BFCL
    from scribe_grpo.builders import GRPO
    from scribe_policy_hf.builder import HF

    from scribe_core.episode import episodes
    from scribe_core.rollout import rollout
    from scribe_core.settings import RolloutSettings

    lengths = [length for group in work["lengths"] for length in group]
    sample = hf.generate

    def forced(module: Any, requests: Any, **options: Any) -> Any:
        rows = [evolve(each, room=length) for each, length in zip(requests, lengths, strict=True)]
        return sample(module, rows, **options | {"end_ids": frozenset()})

    hf.generate = forced
    environment = BFCL().build()
    tasks = environment.tasks("train")[: len(work["lengths"])]
    policy = HF(model=work["model"]).build()
    optimizer = GRPO(learning_rate=RATE).build()
    settings = RolloutSettings(max_tokens=max(lengths), concurrency=len(lengths))
    steps: list[tuple[float, float]] = []
    for step in range(work["steps"]):
        begun = time.perf_counter()
        planned = episodes(tasks, len(work["lengths"][0]), f"step-{step}", seed=0)
        played = rollout(policy, environment, planned, settings, waves=True)
        generated = time.perf_counter()
        optimizer.step(policy, grouped(played, work))
        synchronize()
        steps.append((generated - begun, time.perf_counter() - generated))
    sampled = [each.messages[-1].sampled for each in played]
    if [len(each.token_ids) for each in sampled if each] != lengths:
        raise SystemExit("scribe: a completion has another length than was asked for")
    contexts = [each.context_ids for each in sampled[:: len(work["lengths"][0])] if each]
    return {
        "seconds": steps,
        "prompt_ids": contexts,
        "prompts": [policy.tokenizer.decode(ids) for ids in contexts],
        "dtype": str(policy.module.dtype).removeprefix("torch."),
        "attention": policy.module.config._attn_implementation,
        "packed": True,
        "memory_gb": peak_memory(),
        **multiplications(policy.module, sum(map(len, contexts)), sum(lengths)),
        "matmul_per_second": matmul_rate(policy.module.dtype),
    }


def grouped(played: Any, work: dict[str, Any]) -> Any:
    """With rewards that differ in every group, so that no rollout is left out."""
    from scribe_core.types import Reward, Scored

    groups: dict[str, list[Scored]] = {}
    for i, trajectory in enumerate(played):
        reward = Reward(value=reward_of(i), process=None, outcome=reward_of(i))
        scored = Scored(trajectory=trajectory, judgements=(), reward=reward)
        groups.setdefault(trajectory.group_id, []).append(scored)
    if len(groups) != len(work["lengths"]):
        raise SystemExit("scribe: another number of groups than was asked for")
    return list(groups.values())


def reward_of(row: int) -> float:
    return float(row % 3 == 0)


def multiplications(module: Any, prompts: int, completions: int) -> dict[str, float]:
    """Floating-point operations of a step that cannot be saved: weights times tokens, each prompt once, no attention."""
    import torch

    head = module.get_output_embeddings()
    linear = sum(
        m.weight.numel() for m in module.modules() if isinstance(m, torch.nn.Linear) and m is not head
    )
    forward = 2 * (linear * (prompts + completions) + head.weight.numel() * completions)
    return {"operations_generation": forward, "operations_training": 3 * forward}


def matmul_rate(dtype: Any) -> float:
    """Floating-point operations a second of one large product, the best of twenty."""
    import torch

    device, size = ("cuda", 8192) if torch.cuda.is_available() else ("cpu", 2048)
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    taken = []
    for _ in range(20):
        begun = time.perf_counter()
        torch.mm(a, b)
        synchronize()
        taken.append(time.perf_counter() - begun)
    return 2 * size**3 / min(taken)


def trl(work: dict[str, Any], setting: str) -> dict[str, Any]:
    """TRL's GRPOTrainer without gradient checkpointing, one optimizer step per batch of rollouts.

    fp32 and bf16 (autocast) keep float32 weights, which their optimizer updates, as ours does; bf16_weights keeps
    nothing in float32. Row i's length is forced by a logits processor: no end token before it, only that at it.
    """
    from datasets import Dataset
    from trl import GRPOTrainer

    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=work["model"],
            reward_funcs=lambda completions, **_: [reward_of(i) for i in range(len(completions))],
            args=trl_arguments(work, setting, folder),
            train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in work["prompts"]]),
        )
        generation, taken = timed_generation(trainer, work), timed_steps(trainer)
        trainer.train()
    if not len(taken) == len(generation) == work["steps"]:
        raise SystemExit("trl: another number of generations or steps than was asked for")
    return {
        "seconds": [(first, whole - first) for first, whole in zip(generation, taken, strict=True)],
        "attention": trainer.model.config._attn_implementation,
        "optimizer": trainer.args.optim.value,
        "memory_gb": peak_memory(),
    }


def trl_arguments(work: dict[str, Any], setting: str, folder: str) -> Any:
    import torch
    from trl import GRPOConfig

    rows = sum(map(len, work["lengths"]))
    return GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=min(work["trl_batch"], rows),
        gradient_accumulation_steps=max(rows // work["trl_batch"], 1),
        num_generations=len(work["lengths"][0]),
        max_completion_length=max(map(max, work["lengths"])),
        max_steps=work["steps"],
        model_init_kwargs={"dtype": "bfloat16" if setting == "bf16_weights" else "float32"},
        bf16=setting != "fp32",
        gradient_checkpointing=False,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        loss_type="dapo",
        beta=0.0,
        shuffle_dataset=False,
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
    )


def timed_steps(trainer: Any) -> list[float]:
    """A list that gets the seconds of the trainer's steps, generation with them, one by one."""
    from transformers import TrainerCallback

    begun: list[float] = []
    taken: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            begun.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            synchronize()
            taken.append(time.perf_counter() - begun[-1])

    trainer.add_callback(Clock())
    return taken


def timed_generation(trainer: Any, work: dict[str, Any]) -> list[float]:
    """Forces lengths in the trainer's generation, and returns the list that gets its seconds, step by step."""
    import torch

    lengths = torch.tensor([length for group in work["lengths"] for length in group])
    ends = list(trainer.eos_token_ids)
    generate, whole = trainer.model.generate, trainer._generate_and_score_completions
    seconds: list[float] = []

    def forced(**options: Any) -> Any:
        width, due = options["input_ids"].shape[1], lengths.to(options["input_ids"].device)

        def lengthwise(ids: Any, scores: Any) -> Any:
            last = due == ids.shape[1] - width + 1
            scores[:, ends] = -torch.inf
            scores[last] = -torch.inf
            scores[last, ends[0]] = 0.0
            return scores

        return generate(**options, logits_processor=[lengthwise])

    def measured(inputs: Any) -> Any:
        begun = time.perf_counter()
        made = whole(inputs)
        synchronize()
        seconds.append(time.perf_counter() - begun)
        if made["completion_mask"].sum(1).tolist() != lengths.tolist():
            raise SystemExit("trl: a completion has another length than was asked for")
        wanted = [ids for ids, group in zip(work["prompt_ids"], work["lengths"], strict=True) for _ in group]
        pairs = zip(made["prompt_ids"], made["prompt_mask"].bool(), strict=True)
        if [ids[mask].tolist() for ids, mask in pairs] != wanted:
            raise SystemExit("trl: a prompt has other tokens than scribe's")
        return made

    trainer.model.generate = forced
    trainer._generate_and_score_completions = measured
    return seconds


def synchronize() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory() -> float:
    """GB: of the GPU where there is one, else the process's largest resident size."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


if __name__ == "__main__":
    order = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    print(json.dumps(scribe(order) if sys.argv[1] == "scribe" else trl(order, sys.argv[1])))
