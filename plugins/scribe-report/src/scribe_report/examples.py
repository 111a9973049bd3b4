"""A handful of trajectories, before and after, with what the judge said of them."""

from collections.abc import Mapping, Sequence

from scribe_core.spans import canonical_json, message_text
from scribe_core.types import Judgement, Message, Scored, ToolCall
from scribe_report.comparing import Comparison, task_of
from scribe_report.html import MAX_TEXT, number, percent, text

GAINED, LOST, ALONE, MAX_JUDGEMENTS, MAX_TOOLS = 3, 2, 2, 12, 8


def pairs(before: Sequence[Scored], after: Sequence[Scored], comparison: Comparison) -> str:
    """Tasks whose outcome changed, side by side; the shortest, because they are read most quickly."""
    rows = (_by_task(before), _by_task(after))
    binary = comparison.binary
    kinds = (
        (comparison.gained, GAINED, "From wrong to right" if binary else "Better than before"),
        (comparison.lost, LOST, "From right to wrong" if binary else "Worse than before"),
    )
    parts = []
    for tasks, count, title in kinds:
        chosen = sorted(tasks, key=lambda task: (_length(rows[0][task]) + _length(rows[1][task]), task))[
            :count
        ]
        if chosen:
            parts.append(f"<h3>{title}: {len(chosen)} of {len(tasks)}</h3>")
            parts += [_pair(task, rows[0][task], rows[1][task]) for task in chosen]
    return "\n".join(parts)


def alone(scored: Sequence[Scored]) -> str:
    """Some that succeeded and some that did not, where there is nothing to compare with."""
    played = [row for row in scored if row.trajectory.status != "error"]
    ordered = sorted(played, key=lambda row: (_length(row), row.trajectory.id))
    right = [row for row in ordered if (row.trajectory.outcome or 0) >= 0.5][:ALONE]
    wrong = [row for row in ordered if (row.trajectory.outcome or 0) < 0.5][:ALONE]
    cards = [f"{_request(row)}<div class='columns'>{_column('', row)}</div>" for row in right + wrong]
    return "\n".join(f"<article>{card}</article>" for card in cards)


def _by_task(rows: Sequence[Scored]) -> Mapping[str, Scored]:
    """The first sample of each task whose outcome is known."""
    known = [row for row in rows if row.trajectory.outcome is not None]
    return {task_of(row): row for row in reversed(known)}


def _length(row: Scored) -> int:
    return sum(len(message_text(message)) for message in row.trajectory.messages)


def _pair(task: str, before: Scored, after: Scored) -> str:
    columns = _column("before", before) + _column("after", after)
    return f"<article><p class='task'>{text(task, 120)}</p>{_request(after)}<div class='columns'>{columns}</div></article>"


def _request(row: Scored) -> str:
    """What was asked before the policy first spoke, and the tools it had."""
    asked = []
    for message in row.trajectory.messages:
        if message.role == "assistant":
            break
        if message.role == "user":
            asked.append(f"<p class='request'>{text(message_text(message), MAX_TEXT)}</p>")
    names = [tool.name for tool in row.trajectory.tools]
    more = f" and {len(names) - MAX_TOOLS:,} more" if len(names) > MAX_TOOLS else ""
    tools = f"<p class='tools'>tools: {text(', '.join(names[:MAX_TOOLS]), 400)}{more}</p>" if names else ""
    return "".join(asked[-3:]) + tools


def _column(title: str, row: Scored) -> str:
    roles = [message.role for message in row.trajectory.messages]
    first = roles.index("assistant") if "assistant" in roles else len(roles)
    said = "".join(_message(message) for message in row.trajectory.messages[first : first + 12])
    left = len(roles) - first - 12
    more = f"<p class='cut'>… {left:,} more messages</p>" if left > 0 else ""
    heading = f"<span class='when'>{title}</span>" if title else ""
    outcome = row.trajectory.outcome
    mark = (
        "" if outcome is None else f"<span class='{_outcome_class(outcome)}'>{_outcome_text(outcome)}</span>"
    )
    rewards = f"<span class='numbers'>process {number(row.reward.process)} · reward {number(row.reward.value)}</span>"
    verdicts = "".join(_verdict(judgement) for judgement in (row.judgements + row.planning)[:MAX_JUDGEMENTS])
    return f"<div><p class='head'>{heading}{mark}{rewards}</p>{said}{more}<ul class='verdicts'>{verdicts}</ul></div>"


def _outcome_class(outcome: float) -> str:
    return "right" if outcome >= 0.5 else "wrong"


def _outcome_text(outcome: float) -> str:
    return {1.0: "right", 0.0: "wrong"}.get(outcome, percent(outcome))


def _message(message: Message) -> str:
    kind = {"assistant": "said", "tool": "tool"}.get(message.role, "other")
    shown = text(_words(message), MAX_TEXT) or "<i>(nothing)</i>"
    name = "" if kind == "said" else f"<b>{text(message.name or message.role, 60)}</b> "
    return f"<pre class='{kind}'>{name}{shown}</pre>"


def _words(message: Message) -> str:
    """What the policy wrote, as it wrote it where that is known; else its calls a line each."""
    if message.raw is not None:
        return message.raw
    calls = [f"{call.name}({_arguments(call)})" for call in message.tool_calls]
    return "\n".join([message.content, *calls] if message.content else calls)


def _arguments(call: ToolCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else canonical_json(call.arguments)


def _verdict(judgement: Judgement) -> str:
    verdict = judgement.verdict
    chip = f"s{round(verdict.score)}" if verdict.score is not None else "none"
    score = verdict.status if verdict.score is None else f"{verdict.score:g} / 3"
    faults = ", ".join(dict.fromkeys(verdict.failed_checks + verdict.failure_modes))
    reason = f"<br><span class='reason'>{text(verdict.reason, 300)}</span>" if verdict.reason else ""
    because = f" <span class='faults'>{text(faults, 200)}</span>" if faults else ""
    return f"<li><span class='chip {chip}'>{score}</span> {text(judgement.skill, 80)}{because}{reason}</li>"
