"""A prompt in tokens: the conversation as the model's own chat template lays it out, and a tree of answers behind it.

    prompt ── stem of question 1 ──┬ answer
           │                       └ answer
           └─ stem of question 2 ──┬ ...

A stem is the beginning of a reply, which says the question once more, up to where its answer stands: small models
keep to the answers far more often than after the bare form of the reply. A text is tokenised as a whole, so that tokens
which reach over a border are the ones that the model would see.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jinja2
from attrs import frozen

from scribe_core.errors import ConfigError
from scribe_core.judging import Prompt, Question

CLOSING = '"'
"""What ends an answer: a token that begins with it."""
_STEM = '{question}\nPossible answers: {answers}.\nI choose "'
_SYSTEM, _USER = "\x00system\x00", "\x00user\x00"

Tokens = tuple[int, ...]


@frozen
class Branch:
    """A question: the tokens between the prompt and its answers, and those of each answer, none of them empty."""

    question: str
    stem: Tokens
    answers: tuple[tuple[str, Tokens], ...]


@frozen
class Laid:
    """A prompt and the branches that follow it."""

    prompt: Tokens
    branches: tuple[Branch, ...]

    @property
    def longest(self) -> int:
        """The tokens of the longest path."""
        return len(self.prompt) + max(
            len(b.stem) + len(tokens) for b in self.branches for _, tokens in b.answers
        )

    @property
    def size(self) -> int:
        """All tokens, each counted once."""
        return len(self.prompt) + branches_size(self.branches)


def branches_size(branches: Sequence[Branch]) -> int:
    """The tokens of all stems and answers."""
    return sum(len(b.stem) + sum(len(tokens) for _, tokens in b.answers) for b in branches)


class Layout:
    """Lays prompts out with one tokenizer; `revision` is what makes their fences the same from run to run."""

    def __init__(self, tokenizer: Any, revision: str) -> None:
        self._tokenizer = tokenizer
        self._revision = revision
        self._control = _control(tokenizer)
        self._template = _template(tokenizer)
        self._branches = lru_cache(maxsize=256)(self._grow)

    @property
    def id(self) -> str:
        """Names the form of the reply and the chat template."""
        texts = (_STEM, CLOSING, self._template)
        return hashlib.sha256(repr(texts).encode()).hexdigest()[:12]

    def lay(self, prompt: Prompt) -> Laid:
        """The tokens of a prompt. What stands in its texts never becomes a control token."""
        system, user = (self._text(text, prompt) for text in (prompt.system, prompt.user))
        before, _, after = self._template.rpartition(_USER)
        # Added tokens cut a text before it is tokenised: what follows the last one can be tokenised by itself.
        last = max((match.start() for match in self._control.finditer(after)), default=None)
        text = before.replace(_SYSTEM, system, 1) + user
        if last is None:
            head, stem = "", text + after
        else:
            head, stem = text + after[:last], after[last:]
        common, branches = self._branches(stem, prompt.questions)
        return Laid(prompt=self._encode(head) + common, branches=branches)

    def _text(self, text: str, prompt: Prompt) -> str:
        """Control tokens broken up, and a fence that prompts share: one that stands nowhere in the prompt itself."""
        mark = self._mark(prompt)
        return self._control.sub(_broken, text.replace(prompt.fence, mark))

    def _mark(self, prompt: Prompt) -> str:
        for number in range(len(prompt.user) + len(prompt.system)):
            mark = hashlib.sha256(f"{self._revision}/{number}".encode()).hexdigest()[:16]
            if mark not in prompt.user and mark not in prompt.system:
                return mark
        return prompt.fence

    def _grow(self, stem: str, questions: tuple[Question, ...]) -> tuple[Tokens, tuple[Branch, ...]]:
        """The tokens that all questions begin with, and their branches behind these."""
        paths = [self._paths(stem, question) for question in questions]
        common = common_start([start for start, _ in paths])
        branches = [
            Branch(
                question=question.id,
                stem=start[len(common) :],
                answers=tuple((answer, tokens[len(start) :]) for answer, tokens in answers),
            )
            for question, (start, answers) in zip(questions, paths, strict=True)
        ]
        return common, tuple(branches)

    def _paths(self, stem: str, question: Question) -> tuple[Tokens, list[tuple[str, Tokens]]]:
        """What the paths to all answers begin with, and each path."""
        answers = ", ".join(f'"{answer}"' for answer in question.answers)
        asked = _STEM.format(question=question.text, answers=answers)
        start = stem + self._control.sub(_broken, asked)
        paths = [(answer, self._encode(start + answer)) for answer in question.answers]
        # Where an answer merges with what stands before it, the merged token is part of the answer.
        return common_start([self._encode(start), *(tokens for _, tokens in paths)]), paths

    def _encode(self, text: str) -> Tokens:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()


def closers(tokenizer: Any) -> list[int]:
    """The ids of the tokens that end an answer."""
    words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    return [i for i, word in enumerate(words) if word is not None and word.startswith(CLOSING)]


def _control(tokenizer: Any) -> re.Pattern[str]:
    """Tokens that steer a model, marked as special or not. Blanks and words that were added to a vocabulary do not."""
    added = tokenizer.added_tokens_decoder.values()
    texts = [t.content for t in added if t.content.strip() and (t.special or not t.content[0].isalnum())]
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or r"(?!)")


def _template(tokenizer: Any) -> str:
    """The chat template around a system and a user text; without a system role, both stand in the user's."""
    system = {"role": "system", "content": _SYSTEM}
    for messages in (
        [system, {"role": "user", "content": _USER}],
        [{"role": "user", "content": f"{_SYSTEM}\n\n{_USER}"}],
    ):
        try:
            text: str = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
        except jinja2.TemplateError:  # how templates say that they know no such role
            continue
        if text.count(_SYSTEM) == text.count(_USER) == 1:
            return text
    raise ConfigError("judge.model: its chat template does not lay a user message out; use an instruct model")


def _broken(match: re.Match[str]) -> str:
    token = match[0]
    return f"{token[0]}\\{token[1:]}" if len(token) > 1 else f"\\u{{{ord(token):x}}}"


def common_start(rows: Sequence[Tokens]) -> Tokens:
    """What all rows begin with."""
    first, last = min(rows), max(rows)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length]
