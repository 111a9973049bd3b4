"""A transformers model as a trainable policy."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import torch
from attrs import evolve

from scribe_core import crew
from scribe_core.errors import ConfigError, DataError
from scribe_core.protocols import TokenRow
from scribe_core.types import Completion, Conversation, Message, Sampled, Sampling
from scribe_policy_hf import adapters, attention, exchange, models, packing, sharding, zero
from scribe_policy_hf.chat import Chat
from scribe_policy_hf.generate import Draw, Request, generate
from scribe_policy_hf.memory import Memory

if TYPE_CHECKING:
    from scribe_policy_hf.builder import HF


logger = structlog.get_logger("scribe.policy")


class HFPolicy:
    """See `scribe_core.protocols.TrainablePolicy`."""

    def __init__(self, options: "HF") -> None:
        self.accelerator = exchange.accelerator()
        self._source = models.source(options.model)
        self._dtype = models.weight_dtype(options.dtype)
        self._lora = options.lora is not None
        module, self.tokenizer = models.load(self._source, self._dtype)
        self._chat = Chat(self.tokenizer, options.calls)
        self._chat.check()
        if options.packed and not packing.can_pack(module):
            raise ConfigError(
                "policy.packed: this model has a recurrent state or sliding-window attention, with which rollouts "
                "cannot share a prompt; set policy.packed = false"
            )
        self._reach = packing.reach(module) if options.packed else None
        config = module.config.get_text_config()
        self._positions = getattr(config, "max_position_embeddings", None) or sys.maxsize
        if options.lora is not None:
            module = adapters.wrap(module, options.lora)
        if not torch.cuda.is_available():
            attention.suit_cpu(module)
        self._attention = module.config._attn_implementation
        self.exchange = exchange.Exchange(self.accelerator) if self.accelerator.num_processes > 1 else None
        self._shards = self._shared_out(module)
        if self._shards:
            self.module = self._shards.module
        elif self.exchange:
            # Not prepared: DistributedDataParallel wants as many backward passes in each process.
            self.module = module.to(self.accelerator.device)
            if self._lora:
                self.exchange.equalise(module)
        else:
            self.module = self.accelerator.prepare(module)
        self.module.eval()
        self.version = 0
        self._memory = Memory(options.kept_tokens if packing.can_pack(module) else 0)
        self._remembered = self.version
        self._end_ids = _end_ids(module, self.tokenizer)
        closing = self._encode(self._chat.continuation(()))
        self._end_id = next((i for i in closing if i in self._end_ids), min(self._end_ids))
        self._pad_id = self.tokenizer.pad_token_id or 0
        added = self.tokenizer.added_tokens_decoder.items()
        self._shown = {i: t.content for i, t in added if t.special and t.content in self._chat.format.markers}
        self._reference: Any = None

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        """What does not fit into the model's positions is cut there, and a context that leaves no room gets nothing."""
        contexts = [self._context(conversation) for conversation in conversations]
        prompts = [before + added for before, added in contexts]
        rooms = [min(sampling.max_tokens, self._positions - len(prompt)) for prompt in prompts]
        fits = [i for i, room in enumerate(rooms) if room > 0]
        if len(fits) < len(prompts):
            logger.warning(
                "context longer than the model's", rows=len(prompts) - len(fits), limit=self._positions
            )
        if self._remembered != self.version:
            self.forget()
        with self._whole() as module:
            draws = generate(
                module,
                [
                    Request(prompt=prompts[i], room=rooms[i], seed=seeds[i], begun=len(contexts[i][0]))
                    for i in fits
                ],
                temperature=sampling.temperature,
                end_ids=self._end_ids,
                pad_id=self._pad_id,
                memory=self._memory,
            )
        drawn = dict(zip(fits, draws, strict=True))
        temperature = sampling.temperature or 1.0
        return [
            self._completion(added, drawn[i], temperature)
            if i in drawn
            else self._completion((), Draw((), (), ended=False), temperature)
            for i, (_, added) in enumerate(contexts)
        ]

    def forget(self) -> None:
        """Drops what was kept of conversations for their next turns."""
        self._memory.clear()
        self._remembered = self.version

    def rows(self, conversations: Sequence[Conversation]) -> list[TokenRow]:
        return [self._row(conversation) for conversation in conversations]

    def logprobs(self, rows: Sequence[TokenRow]) -> torch.Tensor:
        return packing.logprobs(self.module, rows, reach=self._reach, pad_id=self._pad_id)

    @torch.no_grad()
    def reference_logprobs(self, rows: Sequence[TokenRow]) -> torch.Tensor:
        if self._lora:
            with self.accelerator.unwrap_model(self.module).disable_adapter():
                return self.logprobs(rows)
        if self._reference is None:
            reference, _ = models.load(self._source, self._dtype)
            reference.set_attn_implementation(self._attention)
            self._reference = (
                sharding.shard(reference, self.accelerator)
                if sharding.configured()
                else reference.to(self.accelerator.device)
            ).eval()
        return packing.logprobs(self._reference, rows, reach=self._reach, pad_id=self._pad_id)

    def save(self, folder: Path) -> None:
        # The base model has its embeddings; peft would ask the hub whether to save them.
        only = {"save_embedding_layers": False} if self._lora else {}
        with self._whole() as module:
            if crew.index() > 0:
                return
            with models.quietly():
                module.save_pretrained(folder, **only)
        self.tokenizer.save_pretrained(folder)

    def load(self, folder: Path) -> None:
        self.forget()
        with self._whole() as module:
            self._read(module, folder)
            if self._shards:
                self._shards.take()

    def _shared_out(self, module: Any) -> "sharding.Shards | zero.Engine | None":
        if zero.configured():
            return zero.Engine.of(module, self.accelerator)
        return sharding.Shards.of(module, self.accelerator) if sharding.configured() else None

    @contextmanager
    def _whole(self) -> Iterator[Any]:
        """The module with all its weights in this process; all processes enter together."""
        if self._shards:
            with self._shards.gathered() as module:
                yield module
        else:
            yield self.accelerator.unwrap_model(self.module)

    def _read(self, module: Any, folder: Path) -> None:
        if self._lora:
            adapters.read(module, folder)
            return
        saved, _ = models.load(str(folder), self._dtype)
        try:
            module.load_state_dict(saved.state_dict())
        except RuntimeError as error:
            raise DataError(f"{folder}: weights of another model than {self._source!r}") from error

    def _context(self, conversation: Conversation) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(tokens up to the last sampled message, tokens added since)."""
        messages = conversation.messages
        last = _last_sampled(messages)
        if last < 0:
            return (), self._encode(self._chat.prompt(messages, conversation.tools))
        before = tuple(t for m in messages if m.sampled for t in m.sampled.context_ids + m.sampled.token_ids)
        added = self._encode(self._chat.continuation(messages[last + 1 :]))
        if before[-1:] == (self._end_id,) and self._end_id in added:
            # It closed itself; where it ended otherwise, the template's own end follows.
            added = added[added.index(self._end_id) + 1 :]
        return before, added

    def _completion(self, context: tuple[int, ...], draw: Draw, temperature: float) -> Completion:
        written = draw.token_ids[:-1] if draw.ended else draw.token_ids
        raw, offsets = self._decode(written)
        if draw.ended:
            offsets += (len(raw),)
        content, calls = self._chat.parse(raw)
        sampled = Sampled(
            context_ids=context,
            token_ids=draw.token_ids,
            logprobs=draw.logprobs,
            offsets=offsets,
            temperature=temperature,
        )
        message = Message(role="assistant", content=content, tool_calls=calls, raw=raw, sampled=sampled)
        return Completion(message=message, finish_reason="stop" if draw.ended else "length")

    def _row(self, conversation: Conversation) -> TokenRow:
        """Learns from what the policy sampled, and from what others wrote after that; the rest is context."""
        context: tuple[int, ...] = ()
        tokens: list[int] = []
        mask: list[bool] = []
        positions: list[tuple[int, int] | None] = []
        done: tuple[Message, ...] = ()
        last = _last_sampled(conversation.messages)
        for i, message in enumerate(conversation.messages):
            if message.role != "assistant" or (message.sampled is None and i < last):
                continue
            before = done + conversation.messages[len(done) : i]
            starts = message.sampled.offsets if message.sampled else None
            if message.sampled is None:
                message = self._written(message, before, conversation)
            assert message.sampled is not None
            added, own = message.sampled.context_ids, message.sampled.token_ids
            if context or tokens:  # a turn may have nothing but what it was given
                tokens += added
                mask += [False] * len(added)
                positions += [None] * len(added)
            else:
                context = added
            tokens += own
            mask += [True] * len(own)
            positions += [None] * len(own) if starts is None else [(i, start) for start in starts]
            done = (*before, message)
        temperature = next((m.sampled.temperature for m in done if m.sampled), 1.0)
        return TokenRow(context, tuple(tokens), tuple(mask), temperature, tuple(positions))

    def _written(self, message: Message, before: tuple[Message, ...], conversation: Conversation) -> Message:
        """A message as if the policy had sampled it."""
        _, added = self._context(evolve(conversation, messages=before))
        text = self._chat.written(message)
        ids = (*self._encode(text), self._end_id)
        zeros = (0.0,) * len(ids)
        sampled = Sampled(context_ids=added, token_ids=ids, logprobs=zeros, offsets=(0,) * len(ids))
        return evolve(message, sampled=sampled, raw=text)

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def _decode(self, ids: Sequence[int]) -> tuple[str, tuple[int, ...]]:
        """(text, start character of each token); of the special tokens, those that tell calls and reasoning show."""
        text, starts = "", []
        for shown, group in groupby(ids, self._shown.__contains__):
            stretch = list(group)
            parts = [(self._shown[i], (0,)) for i in stretch] if shown else [self._decode_text(stretch)]
            for part, offsets in parts:
                starts += [len(text) + offset for offset in offsets]
                text += part
        return text, tuple(starts)

    def _decode_text(self, ids: Sequence[int]) -> tuple[str, tuple[int, ...]]:
        """Without special tokens; a character spread over tokens starts with the first."""
        text, starts, known, shown = "", [], 0, 0
        for i in range(len(ids)):
            starts.append(len(text))
            # Decoded behind the piece before it, since some tokenizers drop the space at the start of a text.
            before = self.tokenizer.decode(ids[known:shown], skip_special_tokens=True)
            piece = self.tokenizer.decode(ids[known : i + 1], skip_special_tokens=True)
            if (len(piece) > len(before) and not piece.endswith("\ufffd")) or i + 1 == len(ids):
                text, known, shown = text + piece[len(before) :], shown, i + 1
        return text, tuple(starts)


def _last_sampled(messages: Sequence[Message]) -> int:
    return max((i for i, message in enumerate(messages) if message.sampled), default=-1)


def _end_ids(module: Any, tokenizer: Any) -> frozenset[int]:
    configured = module.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    ids = frozenset(i for i in (*listed, tokenizer.eos_token_id) if i is not None)
    if not ids:
        raise ConfigError("policy.model: neither the model nor its tokenizer names an end-of-turn token")
    return ids
