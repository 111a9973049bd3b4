"""The command `scribe`. What `--help` prints is static, so that it imports click and little else."""

import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from scribe_core import __version__
from scribe_core.errors import ConfigError, DataError, ScribeError, suggest

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

MAX_LINES = 50
"""Of an error message."""

COMMANDS = {
    "train": ("scribe_core.cli.train:train", "Train a policy with the rewards of a scorer."),
    "eval": ("scribe_core.cli.train:evaluate", "Evaluate a policy on held-out tasks."),
    "score": ("scribe_core.cli.score:score", "Score trajectories: a reward, and a score per subgoal."),
    "rejudge": (
        "scribe_core.cli.rejudge:rejudge",
        "Score a run's rollouts once more, and show what changes.",
    ),
    "validate": (
        "scribe_core.cli.validate:validate",
        "Check a config and estimate what it will do and cost.",
    ),
    "skills": ("scribe_core.cli.skills:skills", "List, show and check skill prototypes."),
    "bench": ("scribe_core.cli.bench:bench", "Measure the parts of a scorer."),
    "plugins": ("scribe_core.cli.plugins:plugins", "List what the installed plugins offer."),
    "doctor": ("scribe_core.cli.plugins:doctor", "Show what is wrong with the installed plugins."),
}
"""Core's own commands: where each is defined, and its line in `scribe --help`."""


class LazyGroup(click.Group):
    """Imports a command when it is used, and plugins when no command of core's own has the name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [*COMMANDS, *_plugin_commands()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        return _plugin_command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        command = self.get_command(ctx, args[0])
        if command is None:
            hint = suggest(args[0], self.list_commands(ctx)) + _registry().caveats()
            raise click.UsageError(f"there is no command {args[0]!r}{hint}")
        return args[0], command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])
        if rows := list(_plugin_commands().items()):
            with formatter.section("Commands of plugins"):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> None:
        # What a command returns is no exit code; only `ctx.exit` says one.
        super().invoke(ctx)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 the work failed, 2 the input or the config is wrong.",
)
@click.version_option(__version__, prog_name="scribe")
@click.option("-v", "--verbose", is_flag=True, help="Log more than warnings, to stderr.")
@click.pass_context
def cli(ctx: click.Context, verbose: bool) -> None:
    """SCRIBE: reward per subgoal, judged with reusable skill prototypes."""
    ctx.obj = verbose
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: list[str] | None = None) -> int:
    """Runs `scribe` and returns its exit code; what a user can mend is one line on stderr, never a traceback."""
    _reserve_streams()
    code = _run(arguments)
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        # Else the interpreter tries again when it ends, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code == DONE:
            return FAILED if isinstance(error, BrokenPipeError) else _fail(FAILED, _described(error))
    return code


def _run(arguments: list[str] | None) -> int:
    try:
        code = cli.main(args=arguments, prog_name="scribe", standalone_mode=False)
    except click.exceptions.Abort:
        return _fail(INTERRUPTED, "interrupted")
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "scribe"
        return _fail(WRONG_INPUT, f"{error.format_message().rstrip('.')}; see `{path} --help`")
    except click.ClickException as error:
        return _fail(error.exit_code, error.format_message())
    except ScribeError as error:
        wrong_input = isinstance(error, (ConfigError, DataError))
        return _fail(WRONG_INPUT if wrong_input else FAILED, str(error))
    except BrokenPipeError:
        return FAILED
    except SystemExit as error:
        # click's own for a pipe that nobody reads; from a part it must not look like success.
        if type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):
            return FAILED
        return _fail(FAILED, f"a part ended the program ({_described(error)}); report it to its author")
    except (ImportError, OSError) as error:
        return _fail(FAILED, _described(error))
    return code if isinstance(code, int) else DONE


def _fail(code: int, message: str) -> int:
    lines = message.splitlines() or ["failed"]
    more = [f"and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    with suppress(OSError):
        for line in [*lines[:MAX_LINES], *more]:
            click.echo(f"scribe: error: {line}", err=True)
    return code


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _reserve_streams() -> None:
    """What a caller closed stays closed: no file that is opened later gets its number and what is printed to it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115


def _registry() -> Any:
    from scribe_core.registry import Registry

    return Registry.installed()


def _plugin_commands() -> dict[str, str]:
    """The names to type, with their help; where two plugins offer one name, the names say whose."""
    records = [record for record in _registry().records("commands") if record.name not in COMMANDS]
    names = [record.name for record in records]
    return {
        record.name if names.count(record.name) == 1 else record.ref: record.summary for record in records
    }


def _plugin_command(name: str) -> click.Command | None:
    registry = _registry()
    record = next((each for each in registry.records("commands") if name in (each.name, each.ref)), None)
    if record is None:
        return None
    builder = registry.get("commands", name)
    try:
        command = builder().build()
    except (Exception, SystemExit) as error:
        text = f"the command {name!r} of {record.dist} {record.version} cannot be built: {error}"
        raise click.ClickException(text) from error
    if not isinstance(command, click.Command):
        raise click.ClickException(
            f"the command {name!r} of {record.dist} is not a click command: {command!r}"
        )
    return command


if __name__ == "__main__":
    sys.exit(main())
