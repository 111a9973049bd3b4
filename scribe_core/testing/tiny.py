"""A trainable policy of a few thousand weights, for tests of optimizers and of whatever trains.

A bigram model over characters: the chance of a character depends on the one before it. That is enough to raise
the chance of one text over another, and an update takes a millisecond. It needs torch, which core does not
install; whoever tests an optimizer has it.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from attrs import frozen

from scribe_core.protocols import TokenRow, TrainablePolicy
from scribe_core.spans import message_text
from scribe_core.types import Completion, Conversation, Message, Sampled, Sampling

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \n:.,?!'\"{}[]()_-"
END = len(ALPHABET)
"""The token that ends a message; the one after it stands for any other character."""
UNKNOWN = END + 1

Ids = tuple[int, ...]


@frozen(kw_only=True)
class TinyPolicy:
    """A bigram model over characters; needs torch."""

    name: ClassVar[str] = "tiny"
    seed: int = 0
    """Of the initial weights."""

    def build(self) -> TrainablePolicy:
        return _Bigrams(self.seed)


class _Tokenizer:
    eos_token_id = END
    pad_token_id = END

    def encode(self, text: str) -> Ids:
        return tuple(ALPHABET.index(each) if each in ALPHABET else UNKNOWN for each in text)

    def decode(self, ids: Sequence[int]) -> str:
        return "".join("?" if each == UNKNOWN else ALPHABET[each] for each in ids if each != END)


class _Accelerator:
    """What an optimizer needs of an accelerator, on the processor and without Accelerate."""

    def backward(self, loss: Any) -> None:
        loss.backward()

    def unwrap_model(self, module: Any) -> Any:
        return module

    def prepare(self, *objects: Any) -> Any:
        return objects if len(objects) > 1 else objects[0]


class _Bigrams:
    """See `scribe_core.protocols.TrainablePolicy`; `module` is an embedding whose rows are the next logits."""

    def __init__(self, seed: int) -> None:
        self._torch: Any = import_module("torch")
        self.tokenizer: Any = _Tokenizer()
        self.accelerator: Any = _Accelerator()
        self.version = 0
        self.module = self._torch.nn.Embedding(UNKNOWN + 1, UNKNOWN + 1)
        with self._torch.no_grad():
            self.module.weight.normal_(0, 0.5, generator=self._generator(seed))
        self._reference = self.module.weight.detach().clone()

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        pairs = zip(conversations, seeds, strict=True)
        return [self._completion(conversation, sampling, seed) for conversation, seed in pairs]

    def rows(self, conversations: Sequence[Conversation]) -> list[TokenRow]:
        return [self._row(conversation.messages) for conversation in conversations]

    def logprobs(self, rows: Sequence[TokenRow]) -> Any:
        return self._logprobs(rows, self.module.weight)

    def reference_logprobs(self, rows: Sequence[TokenRow]) -> Any:
        return self._logprobs(rows, self._reference)

    def save(self, folder: Path) -> None:
        self._torch.save(self.module.state_dict(), folder / "tiny.pt")

    def load(self, folder: Path) -> None:
        self.module.load_state_dict(self._torch.load(folder / "tiny.pt", weights_only=True))

    def _generator(self, seed: int) -> Any:
        return self._torch.Generator().manual_seed(seed)

    def _logprobs(self, rows: Sequence[TokenRow], weight: Any) -> Any:
        padded = self._torch.zeros(len(rows), max((len(row.tokens) for row in rows), default=0))
        for index, row in enumerate(rows):
            ids = self._torch.tensor((*row.context[-1:], *row.tokens))
            chances = self._torch.log_softmax(weight[ids[:-1]] / row.temperature, -1)
            at = self._torch.arange(len(row.tokens))
            padded = padded.index_put((self._torch.tensor(index), at), chances[at, ids[1:]])
        return padded

    def _row(self, messages: Sequence[Message]) -> TokenRow:
        turns, tail, _ = self._turns(messages)
        temperature = next((m.sampled.temperature for m in messages if m.sampled), 1.0)
        if not turns:
            return TokenRow(context=tail, tokens=(), mask=())
        starts = [
            tuple((index, offset) for offset in message.sampled.offsets)
            for index, message in enumerate(messages)
            if message.sampled
        ]
        tokens: list[int] = []
        mask: list[bool] = []
        positions: list[tuple[int, int] | None] = []
        for number, (between, own) in enumerate(turns):
            gap = between if number else ()
            tokens += [*gap, *own]
            mask += [False] * len(gap) + [True] * len(own)
            positions += [
                *[None] * len(gap),
                *(starts[number] if number < len(starts) else [None] * len(own)),
            ]
        return TokenRow(turns[0][0], tuple(tokens), tuple(mask), temperature, tuple(positions))

    def _turns(self, messages: Sequence[Message]) -> tuple[list[tuple[Ids, Ids]], Ids, Ids]:
        """(what comes before, own tokens) of each turn, what follows the last, and all since the last sampled one.

        A sampled message's context holds whatever was not sampled since the one before, so it replaces that.
        """
        turns: list[tuple[Ids, Ids]] = []
        sampled = 0
        tail: Ids = ()
        for message in messages:
            if message.role != "assistant":
                tail += self.tokenizer.encode(f"{message.role}: {message_text(message)}\n")
                continue
            if message.sampled:
                turns[sampled:] = [(message.sampled.context_ids, message.sampled.token_ids)]
                sampled = len(turns)
            else:
                turns.append((tail + self._opening, (*self.tokenizer.encode(message_text(message)), END)))
            tail = ()
        since = [token for turn in turns[sampled:] for part in turn for token in part]
        return turns, tail, (*since, *tail)

    @property
    def _opening(self) -> Ids:
        return self.tokenizer.encode("\nassistant: ")  # type: ignore[no-any-return]

    def _completion(self, conversation: Conversation, sampling: Sampling, seed: int) -> Completion:
        context = self._turns(conversation.messages)[2] + self._opening
        ids, logprobs = self._draw(context[-1], sampling, self._generator(seed))
        raw = self.tokenizer.decode(ids)
        offsets = tuple(range(len(ids)))
        sampled = Sampled(
            context_ids=context,
            token_ids=ids,
            logprobs=logprobs,
            offsets=offsets,
            temperature=sampling.temperature or 1.0,
        )
        message = Message(role="assistant", content=raw, raw=raw, sampled=sampled)
        return Completion(message=message, finish_reason="stop" if ids[-1] == END else "length")

    def _draw(self, last: int, sampling: Sampling, generator: Any) -> tuple[Ids, tuple[float, ...]]:
        ids: list[int] = []
        logprobs: list[float] = []
        while len(ids) < sampling.max_tokens and last != END:
            logits = self.module.weight[last].detach() / (sampling.temperature or 1.0)
            chances = logits.log_softmax(-1)
            if sampling.temperature:
                last = int(self._torch.multinomial(chances.exp(), 1, generator=generator))
            else:
                last = int(chances.argmax())
            ids.append(last)
            logprobs.append(float(chances[last]))
        return tuple(ids), tuple(logprobs)
