"""What judging will take, before a model is asked. Bounds: a span may need less than its prototype could ask for."""

from collections.abc import Iterable

from attrs import asdict, evolve

from scribe_core.judging.asking import Mode
from scribe_core.protocols import Builder, Estimate, Estimating, Judge
from scribe_core.skills import Prototype

READINGS = 2
"""How often a model is asked for a reply that can be read."""
VIEWS = 2
"""How often it is asked about a span: as it is, and, where it pleads with its grader, without that."""

Prices = tuple[float, float]
"""USD for a token of a prompt, and for one of a reply."""


def estimate(builder: Builder[Judge], prototype: Prototype) -> Estimate | None:
    """What a judge takes for a span with this prototype; None where its builder does not say."""
    return builder.estimate(prototype) if isinstance(builder, Estimating) else None


def model_estimate(
    prototype: Prototype,
    mode: Mode,
    *,
    prompt_tokens: int,
    reply_tokens: int,
    prices: Prices | None = None,
    canary_every: int = 0,
    readings: int = READINGS,
) -> Estimate:
    """What `ModelJudge` takes for one span that fits into its budget of `prompt_tokens`; retries are not counted.

    `readings` is 1 for an endpoint whose replies can always be read.
    """
    least = _calls(prototype, mode)
    if least is None:
        return Estimate()
    most = readings * (VIEWS + (1 / canary_every if canary_every else 0))
    usd = None if prices is None else most * (prompt_tokens * prices[0] + reply_tokens * prices[1])
    return Estimate(
        least=least,
        most=most,
        prompt_tokens=most * prompt_tokens,
        completion_tokens=most * reply_tokens,
        usd=usd,
    )


def _calls(prototype: Prototype, mode: Mode) -> int | None:
    """The fewest calls: none where programs may leave nothing to ask. None where nothing is ever asked."""
    if mode == "direct":
        return 1
    items = prototype.checks + prototype.failure_modes
    by_program = min((item.caps for item in items if item.program), default=3)
    asked = [0] if mode == "holistic" else [item.caps for item in items if item.program is None]
    if not any(caps < 3 for caps in asked):
        return None
    return 0 if by_program <= min(asked) else 1


def together(estimates: Iterable[Estimate]) -> Estimate:
    """All of them, one after another."""
    total = Estimate()
    for each in estimates:
        usd = None if total.usd is None or each.usd is None else total.usd + each.usd
        sums = {name: value + getattr(each, name) for name, value in asdict(total).items() if name != "usd"}
        total = Estimate(**sums, usd=usd)
    return total


def any_of(estimates: Iterable[Estimate]) -> Estimate:
    """One of them, and nobody knows which."""
    known = list(estimates)
    prices = [each.usd for each in known if each.usd is not None]
    return Estimate(
        least=min(each.least for each in known),
        most=max(each.most for each in known),
        prompt_tokens=max(each.prompt_tokens for each in known),
        completion_tokens=max(each.completion_tokens for each in known),
        usd=max(prices) if len(prices) == len(known) else None,
    )


def perhaps(estimate: Estimate) -> Estimate:
    """It, or nothing."""
    return evolve(estimate, least=0)
