"""`scribe bench`: measurements of the parts of a scorer."""

import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from scribe_core.cli import logs
from scribe_core.cli.common import columns, set_option
from scribe_core.errors import DataError

BASELINE = "lexical"


@click.group(invoke_without_command=True)
@click.pass_context
def bench(ctx: click.Context) -> None:
    """Measure the parts of a scorer."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@bench.command()
@click.option(
    "--file",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Labelled subgoals: a JSON object a line, with skill, trajectory, span and task.",
)
@click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="CONFIG",
    type=click.Path(path_type=Path),
    help="A TOML file with a [scorer] table; may be repeated, later ones win.",
)
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def routing(
    ctx: click.Context, file: Path, configs: tuple[Path, ...], overrides: tuple[str, ...], as_json: bool
) -> None:
    """Measure how often a router finds the prototype that a subgoal is labelled with.

    The router and the libraries are those of the config, for example
    `--set scorer.router.use=trained --set scorer.router.members=members.jsonl`. It is compared with `lexical` on
    the same subgoals. Intervals are 95 %, over tasks. Labels that no library has are left out.
    """
    logs.configure(ctx.obj)
    with redirect_stdout(sys.stderr):
        report = _measured(file, configs, overrides)
    click.echo(json.dumps(report, indent=2) if as_json else _readable(report))


def _measured(file: Path, configs: tuple[Path, ...], overrides: tuple[str, ...]) -> dict[str, Any]:
    from scribe_core import aio
    from scribe_core.builders import build
    from scribe_core.builtin.lexical import Lexical
    from scribe_core.config import Config
    from scribe_core.labelled import read_labelled
    from scribe_core.router_bench import compared, figures, routed
    from scribe_core.skills import merge

    scorer = Config.load(configs, overrides).scorer
    library = merge(map(build, scorer.libraries))
    items = read_labelled(file).items
    known = [item for item in items if item.subgoal is not None and item.skill in library]
    if not known:
        raise DataError(f"{file}: has no subgoal with the id of a prototype of {library.source}")
    rows = aio.run(routed(build(scorer.router), known, library))
    report = {"library": library.digest, "left_out": len(items) - len(known), "router": scorer.router.name}
    if scorer.router == Lexical():
        return {**report, "figures": figures(rows)}
    others = aio.run(routed(Lexical().build(), known, library))
    return {
        **report,
        "figures": figures(rows),
        "baseline": figures(others),
        "against_baseline": compared(rows, others),
    }


def _readable(report: Mapping[str, Any]) -> str:
    found = report["figures"]
    routers = {report["router"]: found, **({BASELINE: report["baseline"]} if "baseline" in report else {})}
    lines = [f"{found['subgoals']} subgoals of {found['tasks']} tasks; {report['left_out']} left out", ""]
    rows = [("", *routers)]
    rows += [(label, *(_shown(figure(each)) for each in routers.values())) for label, figure in _ROWS.items()]
    for coverage in found["coverage"]:
        shown = (_shown(each["coverage"][coverage]) for each in routers.values())
        rows.append((f"accuracy at coverage {coverage}", *shown))
    for skill in found["skills"]:
        rows.append((f"  {skill}", *(f"{each['skills'][skill]:.2f}" for each in routers.values())))
    lines.append(columns(rows, indent=0))
    if "against_baseline" in report:
        lines += ["", _against(report["router"], report["against_baseline"])]
    return "\n".join(lines)


_ROWS: Mapping[str, Any] = {
    "top-1": lambda figures: figures["top_1"],
    "top-3": lambda figures: figures["top_3"],
    "calibration error": lambda figures: figures["calibration_error"],
    "left to general": lambda figures: figures["general"],
    "moved by words, beside calls": lambda figures: figures["steered"]["calls"],
    "moved by words, no call": lambda figures: figures["steered"]["words"],
}


def _shown(figure: Any) -> str:
    if figure is None:
        return "-"
    if isinstance(figure, Mapping):
        low, high = figure["interval"]
        return f"{figure['value']:.3f} [{low:.3f}, {high:.3f}]"
    return f"{figure:.3f}"


def _against(name: str, paired: Mapping[str, Any]) -> str:
    return (
        f"{name} - {BASELINE}: {_shown(paired['difference'])} of top-1; only {name} is right {paired['only_right']} "
        f"times, only {BASELINE} {paired['only_other_right']} times, p = {paired['p_mcnemar']:.2g} (McNemar, exact)"
    )
