"""`scribe validate`: everything that can be checked before a weight loads, and what the run will take."""

import json
import sys
from contextlib import redirect_stdout
from math import ceil
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
    a rollout has is not known before, so judge calls are given from one per rollout to one per turn.
    """
    from scribe_core.config import Config

    logs.configure(ctx.obj)
    with redirect_stdout(sys.stderr):
        report = _report(Config.load(configs, overrides))
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        rows = [(key.replace("_", " "), _text(value)) for key, value in report.items()]
        click.echo(f"{columns(rows, indent=0)}\nthe config is valid")


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
    whole = len(library.trajectory_prototypes())
    calls = {"least": rollouts * (1 + whole), "most": rollouts * (config.rollout.max_turns + whole)}
    asks_no_model = getattr(config.scorer.judge, "name", "") == "programs"
    return {**report, **training, **evaluation, "judge_calls": calls, "usd": 0 if asks_no_model else None}


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
    from scribe_core.training import training_tasks

    (builder,) = config.require("optimizer")
    optimizer = build(builder)
    check_rollouts(optimizer, config.rollout)
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


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['least']:,} to {value['most']:,}"
    return (
        "unknown: it depends on the judge"
        if value is None
        else f"{value:,}"
        if isinstance(value, int)
        else value
    )
