"""Local weights behind the seam to judges: prompts come one by one and are answered in batches that share a prefix."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import structlog
import torch
from scribe_policy_hf import attention, models
from scribe_policy_hf.builder import HF

from scribe_core.errors import ConfigError
from scribe_core.judging import CallError, Prompt, Reply, TooLongError
from scribe_core.types import Json, Usage
from scribe_judge_hf import reading, weights
from scribe_judge_hf.gathering import Gathering, Ticket
from scribe_judge_hf.layout import Branch, Laid, Layout, Tokens, branches_size, closers, common_start

if TYPE_CHECKING:
    from scribe_judge_hf.builder import HFJudge

log = structlog.get_logger("scribe.judge")

MUCH_OUTSIDE = 0.05
"""Probability on none of the answers, above which a model is warned of, once."""
_ROOM = 256
"""Tokens of the context that are kept for the reply."""

Asked = Ticket[Prompt, Reply]
Table = Mapping[str, Mapping[str, float]]


class HFEndpoint:
    """See `scribe_core.judging.Endpoint`."""

    probabilities = True

    def __init__(self, options: "HFJudge") -> None:
        name = models.source(HF(model=options.model).pinned().model, key="judge.model")
        dtype = models.weight_dtype(options.dtype)
        self._model = options.model
        self._module, tokenizer = models.load(name, dtype, key="judge.model")
        self._place(options.device)
        self._revision = weights.revision(name)
        self._layout = Layout(tokenizer, self._revision)
        self._closers = torch.tensor(closers(tokenizer), device=self._module.device)
        self._context = int(getattr(self._module.config, "max_position_embeddings", 2**31))
        self._batch_tokens = options.batch_tokens
        self._dtype = str(dtype).removeprefix("torch.")
        self._warned = False
        self._gathering = Gathering(self._answer)

    @property
    def identity(self) -> Json:
        return {
            "judge": "hf",
            "model": self._model,
            "revision": self._revision,
            "dtype": self._dtype,
            "layout": self._layout.id,
        }

    @property
    def longest_prompt(self) -> int:
        """The tokens of a prompt that the model has room for."""
        return self._context - _ROOM

    async def ask(self, prompt: Prompt, sample: int) -> Reply:  # noqa: ARG002 - nothing is sampled
        return await self._gathering.ask(prompt)

    def _place(self, device: str) -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._module.to(device).eval()
        except (
            RuntimeError,
            AssertionError,
        ) as error:  # how torch says that it lacks a device, or memory on it
            first = str(error).strip().partition("\n")[0]
            raise ConfigError(
                f"judge.device: {self._model!r} cannot be put on {device!r} ({first}); "
                "choices: 'auto', 'cpu', 'cuda', 'cuda:N', 'mps'"
            ) from error
        if self._module.device.type == "cpu":
            attention.suit_cpu(self._module)
        if not reading.can_branch(self._module):
            raise ConfigError(
                f"judge.model: {self._model!r} has a sliding window or a recurrent state, so that answers cannot "
                "share a prompt; use a model with full attention, or serve it and use a judge that asks a server"
            )

    def _answer(self, asked: Sequence[Asked]) -> None:
        """Settles every ticket; equal prompts are computed once."""
        tickets: dict[Laid, list[Asked]] = defaultdict(list)
        for ticket in asked:
            try:
                tickets[self._lay(ticket.asked)].append(ticket)
            except Exception as error:  # whatever a tokenizer makes of a text
                ticket.settle(self._failure(error))
        for shared, branches, batches in plan(tickets, self._batch_tokens):
            self._read_group(shared, branches, batches, tickets)

    def _read_group(
        self,
        shared: Tokens,
        branches: tuple[Branch, ...],
        batches: Sequence[Sequence[Laid]],
        tickets: Mapping[Laid, Sequence[Asked]],
    ) -> None:
        """Answers the prompts that begin with `shared`; those of a batch that breaks get its error."""
        prefix = None
        for batch in batches:
            wanted = [laid for laid in batch if any(ticket.wanted for ticket in tickets[laid])]
            if not wanted:
                continue
            try:
                if prefix is None:
                    prefix = reading.prefill(self._module, shared)
                tree = reading.grow(branches)
                rests = [laid.prompt[len(shared) :] for laid in wanted]
                answers: list[Reply | CallError] = [
                    self._reply(laid, row)
                    for laid, row in zip(wanted, self._read(prefix, rests, tree), strict=True)
                ]
            except Exception as error:  # whatever torch and a model make of an input
                answers = [self._failure(error)] * len(wanted)
            for laid, answer in zip(wanted, answers, strict=True):
                for ticket in tickets[laid]:
                    ticket.settle(answer)

    def _read(
        self, prefix: reading.DynamicCache, rests: Sequence[Tokens], tree: reading.Tree
    ) -> list[list[float]]:
        """The probabilities of each row, in smaller batches where memory runs out."""
        try:
            rows: list[list[float]] = reading.read(self._module, prefix, rests, tree, self._closers).tolist()
            return rows
        except (RuntimeError, MemoryError) as error:
            if len(rests) == 1 or not _out_of_memory(error):
                raise
        # Outside of the handler, whose traceback would keep the tensors of the batch.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        half = len(rests) // 2
        return self._read(prefix, rests[:half], tree) + self._read(prefix, rests[half:], tree)

    def _reply(self, laid: Laid, row: Sequence[float]) -> Reply | CallError:
        if not all(map(math.isfinite, row)):
            return CallError(f"{self._model}: the weights give no probabilities but {row[0]}")
        left = iter(row)
        table = {
            branch.question: {answer: min(next(left), 1.0) for answer, _ in branch.answers}
            for branch in laid.branches
        }
        self._warn(table)
        return Reply(
            text=json.dumps(table),
            usage=Usage(calls=1, prompt_tokens=laid.size),
            revision=self._revision,
        )

    def _warn(self, table: Table) -> None:
        question, outside = max(((q, 1 - sum(row.values())) for q, row in table.items()), key=lambda x: x[1])
        if outside > MUCH_OUTSIDE and not self._warned:
            self._warned = True
            log.warning(
                "judge_answers_outside", model=self._model, question=question, outside=round(outside, 3)
            )

    def _lay(self, prompt: Prompt) -> Laid:
        laid = self._layout.lay(prompt)
        if laid.longest > self._context:
            raise TooLongError(
                f"{self._model}: the prompt has {laid.longest} tokens, the model's context {self._context}; "
                "lower judge.prompt_tokens"
            )
        return laid

    def _failure(self, error: Exception) -> CallError:
        if isinstance(error, CallError):
            return error
        return CallError(f"{self._model}: {type(error).__name__}: {error}")


def plan(
    prompts: Sequence[Laid] | Mapping[Laid, object], batch_tokens: int
) -> Iterator[tuple[Tokens, tuple[Branch, ...], list[list[Laid]]]]:
    """Groups of prompts with the same questions: what they begin with, their branches, and their batches.

    A batch has at most `batch_tokens` behind the shared beginning, padding included, or one prompt; of each prompt
    at least one token stays out of the beginning. A long prompt is a group of its own.
    """
    alike: dict[tuple[Branch, ...], list[Laid]] = defaultdict(list)
    for laid in prompts:
        alike[laid.branches].append(laid)
    for branches, group in alike.items():
        start = _shared(group)
        room = batch_tokens - branches_size(branches)
        short = [laid for laid in group if len(laid.prompt) - len(start) <= room]
        if short:
            yield start, branches, _batches(short, len(start), batch_tokens)
        for laid in group:
            if len(laid.prompt) - len(start) > room:
                yield laid.prompt[:-1], branches, [[laid]]


def _shared(group: Sequence[Laid]) -> Tokens:
    start = common_start([laid.prompt for laid in group])
    return start[: min(len(laid.prompt) for laid in group) - 1]


def _batches(group: Sequence[Laid], shared: int, batch_tokens: int) -> list[list[Laid]]:
    batches: list[list[Laid]] = []
    for laid in sorted(group, key=lambda laid: (len(laid.prompt), laid.prompt)):
        # Sorted by length, the next prompt is the widest of its batch.
        if not batches or (laid.size - shared) * (len(batches[-1]) + 1) > batch_tokens:
            batches.append([])
        batches[-1].append(laid)
    return batches


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)
