"""The command `scribe report`."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import click


class ReportCommand:
    """Write one page with pictures about one or more runs."""

    name: ClassVar[str] = "report"

    def build(self) -> "click.Command":
        import click

        @click.command("report")
        @click.argument("runs", nargs=-1, required=True, metavar="RUN...")
        @click.option(
            "--out",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Where to write the page; report.html in the folder of the last RUN unless given.",
        )
        def report(runs: tuple[str, ...], out: Path | None) -> None:
            """Write one page with pictures about one or more runs.

            Each RUN is a run's folder, or its name under runs/. Give them in the order in which they were made:
            the first evaluation of a split is compared with the last one. The page needs no network and no script.
            """
            from scribe_core.cli.common import find_run
            from scribe_report.report import write_report

            folders = [find_run(run) for run in runs]
            path = write_report(folders, out or folders[-1] / "report.html")
            click.echo(f"report: {path}")

        return report
