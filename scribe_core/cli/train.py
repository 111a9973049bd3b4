"""`scribe train` and `scribe eval`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scribe_core.cli import logs
from scribe_core.cli.common import columns, configs_argument, run_folder, set_option
from scribe_core.errors import ConfigError, RunError

if TYPE_CHECKING:
    from scribe_core.config import Config
    from scribe_core.evaluation import Evaluation


@click.command()
@configs_argument
@set_option
@click.option(
    "--run", metavar="NAME", help="The run's folder is runs/NAME; the last CONFIG's name unless given."
)
@click.option("--resume", is_flag=True, help="Go on with a run that exists.")
@click.pass_context
def train(
    ctx: click.Context, configs: tuple[Path, ...], overrides: tuple[str, ...], run: str | None, resume: bool
) -> None:
    """Train a policy with the rewards of a scorer.

    Each CONFIG is a TOML file; later ones win, and --set wins over all. `scribe plugins` lists what `use` takes.
    Everything goes to runs/NAME: the resolved config, events, trajectories and checkpoints. A run that was
    killed goes on with --resume.
    """
    from scribe_core.config import Config
    from scribe_core.training import train as train_run

    logs.configure(ctx.obj)
    config = Config.load(configs, overrides)
    folder = run_folder(run, configs)
    checkpoint = train_run(config, folder, resume=resume)
    click.echo(f"run: {folder}\ncheckpoint: {checkpoint}")


@click.command("eval")
@configs_argument
@set_option
@click.option(
    "--run",
    metavar="NAME",
    help="Evaluate the last checkpoint of runs/NAME instead of the policy as configured.",
)
@click.option("--split", metavar="SPLIT", help="Short for --set evaluation.split=SPLIT.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    configs: tuple[Path, ...],
    overrides: tuple[str, ...],
    run: str | None,
    split: str | None,
    as_json: bool,
) -> None:
    """Evaluate a policy on held-out tasks.

    Prints the mean outcome, the mean process reward and the mean score of each skill.
    """
    from scribe_core.config import Config

    logs.configure(ctx.obj)
    chosen = [f"evaluation.split={json.dumps(split, ensure_ascii=False)}"] if split is not None else []
    config = Config.load(configs, [*overrides, *chosen])
    result = _evaluate(config, run_folder(run, configs) if run is not None else None)
    if all(each.trajectory.status == "error" for each in result.scored):
        first = result.scored[0].trajectory
        raise RunError(f"all {len(result.scored)} rollouts failed; the first: {first.metadata.get('error')}")
    summary = result.summary()
    click.echo(json.dumps(summary, indent=2) if as_json else _readable(summary))


def _evaluate(config: "Config", folder: Path | None) -> "Evaluation":
    from scribe_core.evaluation import evaluate as evaluate_policy

    policy_builder, environment_builder = config.require("policy", "environment")
    checkpoint = _last_checkpoint(folder) if folder else None
    environment, scorer = environment_builder.build(), config.scorer.build()
    tools = {tool.spec.name: tool for tool in (builder.build() for builder in config.tools.values())}
    policy = policy_builder.build()
    if checkpoint:
        policy.load(checkpoint / "policy")
    return evaluate_policy(
        policy, environment, scorer, config.evaluation, config.rollout, tools=tools, seed=config.training.seed
    )


def _last_checkpoint(folder: Path) -> Path:
    checkpoints = sorted((folder / "checkpoints").glob("step-*"))
    if not checkpoints:
        raise ConfigError(f"{folder}: no checkpoint; train the run first, or leave --run out")
    return checkpoints[-1]


def _readable(summary: Mapping[str, Any]) -> str:
    rows = [(name, _text(summary[name])) for name in ("split", "tasks", "outcome", "process")]
    skills = [(f"  {skill}", f"{score:.2f} of 3") for skill, score in summary["skills"].items()]
    return columns([*rows, *([("skills", "")] if skills else []), *skills], indent=0)


def _text(value: Any) -> str:
    return "unknown" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
