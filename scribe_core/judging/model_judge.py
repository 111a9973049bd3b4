"""A judge that asks a model what programs leave open.

request --programs--> what is open --prompt--> reply (remembered or asked for) --read--> answers --rubric--> verdict

A span that pleads with its grader is asked about once more without its pleas, and the lower verdict counts.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from attrs import evolve, field, frozen

from scribe_core.judging import prompts, verdicts
from scribe_core.judging.asking import (
    CallError,
    Endpoint,
    Mode,
    Prompt,
    Question,
    Replies,
    Reply,
    TooLongError,
)
from scribe_core.judging.canaries import Canaries
from scribe_core.judging.estimate import READINGS
from scribe_core.judging.fence import is_visible, neutral
from scribe_core.judging.lending import Model
from scribe_core.judging.pleading import views
from scribe_core.judging.programs import find_all
from scribe_core.judging.progress import Progress
from scribe_core.judging.replies import Answer, read_probabilities, read_reply
from scribe_core.judging.verdicts import Answers, Findings, programs_cap
from scribe_core.protocols import JudgeRequest, Program
from scribe_core.skills import Prototype, apply_rubric
from scribe_core.spans import span_text
from scribe_core.types import Finding, Json, Usage, Verdict

NOT_ASKED = Finding(answer="not_applicable")
BATCH = 16
"""Requests whose prompts are written before the calls under way are looked after."""


@frozen(kw_only=True)
class ModelJudge:
    """Judges with a model behind an endpoint; `replies` remembers what it said before.

    In `checklist` mode the model answers the checks and failure modes that no program decides, and the one
    scoring rule does the rest. In `holistic` mode, the paper's, it names a level and a mistake, and programs can
    only lower the level. `direct` shows it no rubric and runs no program: the baseline.
    """

    endpoint: Endpoint
    mode: Mode = "checklist"
    prompt_tokens: int = 8000
    replies: Replies | None = None
    programs: Mapping[str, Program] | None = None
    """By name, in place of the installed ones."""
    canaries: Canaries = field(factory=lambda: Canaries(0))
    progress: Progress = field(factory=Progress, repr=False)

    def remembering(self, replies: Replies) -> "ModelJudge":
        """The same judge, which asks nothing that `replies` knows."""
        return evolve(self, replies=replies)

    def lend(self) -> Model:
        """The model and the memory, for parts that ask something else."""
        return Model(endpoint=self.endpoint, prompt_tokens=self.prompt_tokens, replies=self.replies)

    async def judge(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Raises ConfigError where a prototype names a program that does not exist."""
        self.progress.expect(len(requests))
        tasks: list[asyncio.Task[Verdict]] = []
        try:
            for request in requests:
                tasks.append(asyncio.ensure_future(self._noted(request)))
                # The first calls are under way while the prompts of the last are still being written.
                if len(tasks) % BATCH == 0:
                    await asyncio.sleep(0)
            return await asyncio.gather(*tasks)
        finally:
            lost = sum(t.cancel() or t.cancelled() or t.exception() is not None for t in tasks)
            self.progress.drop(len(requests) - len(tasks) + lost)

    def identify(self, request: JudgeRequest, prompt: Prompt) -> Json:
        """What a reply depends on; a change in any part of it is another question."""
        return {
            "endpoint": self.endpoint.identity,
            "prompt": prompt.identity,
            "mode": self.mode,
            "prototype": request.prototype.digest,
            "sample": request.sample,
        }

    async def _noted(self, request: JudgeRequest) -> Verdict:
        verdict = await self._verdict(request)
        self.progress.note(verdict)
        return verdict

    async def _verdict(self, request: JudgeRequest) -> Verdict:
        found = self._found(request)
        questions = self._open(request.prototype, found)
        if not questions:
            return apply_rubric(request.prototype, found, found)
        verdict = await self._lowest(request, found, questions)
        return evolve(verdict, usage=verdict.usage + await self._watch(request, questions))

    async def _lowest(
        self, request: JudgeRequest, found: Findings, questions: tuple[Question, ...]
    ) -> Verdict:
        """The verdict on the span as it is, or on what is left of it without its pleas, whichever is lower."""
        prototype = request.prototype
        names = [item.id for item in prototype.checks + prototype.failure_modes]
        shown, rest = views(request.subgoal, names)
        if rest is not None and not is_visible(span_text(rest)):
            return verdicts.worthless("nothing was done: the span only pleads with its grader")
        text = span_text(shown)
        first = await self._ask(evolve(request, subgoal=shown), text, found, questions)
        if rest is None or first.status == "failed" or first.score == 0:
            return first
        return verdicts.lower(first, await self._ask(evolve(request, subgoal=rest), text, found, questions))

    async def _watch(self, request: JudgeRequest, questions: tuple[Question, ...]) -> Usage:
        """Puts the same questions about a canary, where one is due; what that cost."""
        due = self.canaries.next(request)
        if due is None:
            return Usage()
        kind, canary = due
        by_program = [i for i in request.prototype.checks + request.prototype.failure_modes if i.program]
        # As it is, pleas and all: what is watched is the model, not what protects it.
        found = {item.id: NOT_ASKED for item in by_program}
        verdict = await self._ask(canary, span_text(canary.subgoal), found, questions)
        self.canaries.note(kind, canary, verdict)
        return verdict.usage

    def _found(self, request: JudgeRequest) -> dict[str, Finding]:
        return {} if self.mode == "direct" else find_all(request.prototype, request.subgoal, self.programs)

    def _open(self, prototype: Prototype, found: Findings) -> tuple[Question, ...]:
        """The questions whose answers could still change the score."""
        if self.mode == "direct":
            return prompts.DIRECT_QUESTIONS
        reached = programs_cap(prototype, found)
        if self.mode == "holistic":
            return prompts.holistic_questions(prototype) if reached else ()
        return prompts.checklist_questions(
            [check for check in prototype.checks if check.program is None and check.caps < reached],
            [mode for mode in prototype.failure_modes if mode.program is None and mode.caps < reached],
        )

    async def _ask(
        self,
        request: JudgeRequest,
        text: str,
        found: Findings,
        questions: tuple[Question, ...],
        budget: int | None = None,
        refused: TooLongError | None = None,
    ) -> Verdict:
        """The verdict of the model, whose quotes must stand in `text`; `refused` is why there is less budget than usual."""
        if not is_visible(text):
            return verdicts.worthless("nothing was done: the span has no visible character")
        budget = self.prompt_tokens if budget is None else budget
        prompt = prompts.render(self.mode, request.prototype, request.subgoal, questions, budget)
        if prompt is None and refused and len(text.encode("utf-8", "surrogatepass")) < budget:
            # A token is at least a byte, so it was not the span that left no room.
            return Verdict(status="failed", reason=str(refused))
        if prompt is None:
            return verdicts.too_long(request.prototype, budget)
        try:
            return await self._read(request, prompt, text, found)
        except TooLongError as error:
            # A text may have more tokens than its length tells; were that a failure, a policy could choose to fail.
            verdict = await self._ask(request, text, found, questions, budget // 2, error)
            return evolve(verdict, usage=error.usage + verdict.usage)

    async def _read(self, request: JudgeRequest, prompt: Prompt, text: str, found: Findings) -> Verdict:
        """A reply that cannot be read is asked for once more, then it is an abstention. Raises TooLongError."""
        usage, questions = Usage(), prompt.questions
        for _ in range(READINGS):
            try:
                reply, remembered = await self._reply(request, prompt)
            except TooLongError as error:
                error.usage += usage
                raise
            except CallError as error:
                return Verdict(status="failed", reason=str(error), usage=usage + error.usage)
            usage += Usage() if remembered else reply.usage
            if reply.refused:
                reason = f"the model would not answer: {reply.text[:200]}"
                return Verdict(status="abstained", reason=reason, usage=usage, cached=remembered)
            if answers := self._answers(reply, questions):
                verdict = self._conclude(request.prototype, text, found, questions, answers)
                return evolve(verdict, usage=usage, cached=remembered)
        reason = f"the reply could not be read: {reply.text[:200]!r}"
        return Verdict(status="abstained", reason=reason, usage=usage)

    async def _reply(self, request: JudgeRequest, prompt: Prompt) -> tuple[Reply, bool]:
        async def ask() -> Reply:
            return await self.endpoint.ask(prompt, request.sample)

        if self.replies is None:
            return await ask(), False
        return await self.replies.reply(self.identify(request, prompt), ask, partial(self._readable, prompt))

    def _readable(self, prompt: Prompt, reply: Reply) -> bool:
        return not reply.refused and bool(self._answers(reply, prompt.questions))

    def _answers(self, reply: Reply, questions: tuple[Question, ...]) -> dict[str, Answer]:
        """The answers to all questions; none where one is missing."""
        read = read_probabilities if self.endpoint.probabilities else read_reply
        answers = read(reply.text, questions)
        return answers if len(answers) == len(questions) else {}

    def _conclude(
        self,
        prototype: Prototype,
        text: str,
        found: Findings,
        questions: tuple[Question, ...],
        answers: Answers,
    ) -> Verdict:
        if self.mode == "checklist":
            if self.endpoint.probabilities:
                return verdicts.expected_checklist(prototype, found, answers)
            return verdicts.checklist(prototype, found, questions, answers, neutral(text))
        if self.endpoint.probabilities:
            return verdicts.expected_level(prototype, found, answers)
        if self.mode == "holistic":
            return verdicts.holistic(prototype, found, answers, neutral(text))
        return verdicts.direct(answers)
