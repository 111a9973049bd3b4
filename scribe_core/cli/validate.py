"""`scribe validate`: everything that can be checked before a weight loads, and what the run will take."""

import json
import sys
from contextlib import redirect_stdout
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scribe_core.builders import build
from scribe_core.cli import logs
from scribe_core.cli.common import columns, configs_argument, set_option
from scribe_core.errors import ConfigError

if TYPE_CHECKING:
    from scribe_core.config import Config
    from scribe_core.protocols import Environment
    from scribe_core.skills import Library


@click.command()
@configs_argument
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def validate(
    ctx: click.Context, configs: tuple[Path, ...], overrides: tuple[str, ...], as_json: bool
) -> None:
    """Check a config and estimate what it will do and cost.

    Reads the environment's tasks and the skill libraries; loads no weights and asks no judge. How many subgoals
    a rollout has is not known before, so judgements are given from one per rollout to one per turn; calls of models,
    tokens and cost are bounds, which count a reply that cannot be read and is asked for again, and no cache.
    """
    from scribe_core.config import Config

    logs.configure(ctx.obj)
    with redirect_stdout(sys.stderr):
        config = Config.load(configs, overrides)
        report = {**_report(config), "serves": _serves(config)}
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        rows = [(key.replace("_", " "), _text(key, value)) for key, value in report.items()]
        click.echo(f"{columns(rows, indent=0)}\nthe config is valid")


def _serves(config: "Config") -> list[str]:
    """The commands that have all the tables they need."""
    can_eval = bool(config.policy and config.environment)
    return ["score", *(["eval"] if can_eval else []), *(["train"] if can_eval and config.optimizer else [])]


def _report(config: "Config") -> dict[str, Any]:
    library = _checked_library(config)
    report: dict[str, Any] = {"skills": len(library), "library_digest": library.digest}
    for tool in config.tools.values():
        build(tool)
    if config.environment is None:
        return report
    environment = build(config.environment)
    training = _training(config, environment) if config.optimizer else {}
    evaluation = _evaluation(config, environment)
    rollouts = training.get("training_rollouts", 0) + evaluation["evaluation_rollouts"]
    return {**report, **training, **evaluation, **_judging(config, library, rollouts)}


def _judging(config: "Config", library: "Library", rollouts: int) -> dict[str, Any]:
    """Bounds of what the scorer takes; of models, null where the judge does not know."""
    from scribe_core.judging.estimate import any_of, estimate, together

    turns = config.rollout.max_turns
    whole = library.trajectory_prototypes()
    judgements = {"least": rollouts * (1 + len(whole)), "most": rollouts * (turns + len(whole))}
    found = [estimate(config.scorer.judge, each) for each in (*library.subgoal_prototypes(), *whole)]
    known = [each for each in found if each]
    if len(known) < len(found):
        unknown = dict.fromkeys(("judge_calls", "prompt_tokens", "completion_tokens", "usd"))
        return {"judgements": judgements, **unknown}
    subgoal = any_of(known[: len(found) - len(whole)])
    planning = together(known[len(found) - len(whole) :])
    most = together([*[subgoal] * turns, planning])
    return {
        "judgements": judgements,
        "judge_calls": {
            "least": floor(rollouts * (subgoal.least + planning.least)),
            "most": ceil(rollouts * most.most),
        },
        "prompt_tokens": ceil(rollouts * most.prompt_tokens),
        "completion_tokens": ceil(rollouts * most.completion_tokens),
        "usd": None if most.usd is None else rollouts * most.usd,
    }


def _checked_library(config: "Config") -> "Library":
    """Raises ConfigError where the prototypes need a program that is not installed."""
    from scribe_core.registry import Registry
    from scribe_core.skills import merge

    library = merge(map(build, config.scorer.libraries))
    _ = library.general
    registry = Registry.installed()
    items = (item for prototype in library.values() for item in prototype.checks + prototype.failure_modes)
    errors = []
    for name in sorted({item.program for item in items if item.program}):
        try:
            registry.get("programs", name)
        except ConfigError as error:
            errors.append(f"scorer.libraries: {error}")
    if errors:
        raise ConfigError("\n".join(errors))
    return library


def _training(config: "Config", environment: "Environment") -> dict[str, Any]:
    from scribe_core.refreshing import Refresher
    from scribe_core.training import check_rollouts, training_tasks

    (builder,) = config.require("optimizer")
    optimizer = build(builder)
    check_rollouts(optimizer, config.rollout)
    Refresher.build(config, optimizer)
    tasks = training_tasks(environment, optimizer, config.training)
    settings = config.training
    per_step = (
        0
        if optimizer.learns_from == "demonstrations"
        else settings.tasks_per_step * config.rollout.group_size
    )
    return {
        "training_tasks": len(tasks),
        "steps": settings.steps,
        "rollouts_per_step": per_step,
        "training_rollouts": settings.steps * per_step,
    }


def _evaluation(config: "Config", environment: "Environment") -> dict[str, Any]:
    from scribe_core.evaluation import held_out

    settings = config.evaluation
    tasks = len(held_out(environment, settings))
    times = ceil(config.training.steps / settings.every) if config.optimizer and settings.every else 1
    return {
        "evaluation_tasks": tasks,
        "evaluations": times,
        "evaluation_rollouts": times * tasks * settings.samples,
    }


def _text(key: str, value: Any) -> str:
    match value:
        case list():
            return ", ".join(f"scribe {each}" for each in value)
        case {"least": least, "most": most}:
            return f"{most:,}" if least == most else f"{least:,} to {most:,}"
        case None:
            return "unknown: it depends on the judge"
        case int() | float():
            text = f"{value:,.2f}" if isinstance(value, float) and value else f"{value:,.0f}"
            return (
                f"at most {text}" if value and key in ("prompt_tokens", "completion_tokens", "usd") else text
            )
    return str(value)
