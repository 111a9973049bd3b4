"""Right lines must not fail, and most wrong ones must."""

import importlib.util
import re
from pathlib import Path

import pytest
from scribe_programs_math.plugin import scribe_programs

_spec = importlib.util.spec_from_file_location("worked", Path(__file__).with_name("worked.py"))
worked = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(worked)  # type: ignore[union-attr]

DECIDING = [
    "equalities_hold",
    "inequalities_hold",
    "approximations_close",
    "counts_computed",
    "congruences_hold",
    "identities_hold",
    "solution_satisfies_equation",
    "substitution_carried_out",
    "integer_bounds_tight",
    "strict_bound_not_attained",
    "quantities_possible",
    "printed_values_kept",
]
_MARKED = re.compile(r"(?<!pmod)\{(-?[\d.]+)\}(?=[^{]*(?:\\pmod\{\d+\}[^{]*)?$)")


def _plain(line: str) -> str:
    return _MARKED.sub(r"\1", line)


def _corrupted(line: str) -> str:
    def changed(match: re.Match[str]) -> str:
        value = float(match[1])
        wrong = (
            value / 4 - 1
            if re.search(r"[<≤]|\\le", line)
            else value * 4 + 11
            if re.search("[>≥]", line)
            else value * 1.5 + 1
        )
        return f"{wrong:g}"

    return _MARKED.sub(changed, line)


def test_every_line_marks_one_number():
    assert len(worked.LINES) + len(worked.PROSE) >= 120
    for line in worked.LINES:
        assert _MARKED.search(line), line
        assert _corrupted(line) != _plain(line)


@pytest.mark.parametrize("line", [*map(_plain, worked.LINES), *worked.PROSE])
def test_right_lines_do_not_fail(find, line: str):
    for program in DECIDING:
        finding = find(program, line)
        assert finding.answer != "fail", (program, finding.reason)


def test_wrong_lines_fail(find):
    missed = [
        line
        for line in map(_corrupted, worked.LINES)
        if not any(find(program, line).answer == "fail" for program in DECIDING)
    ]
    assert len(missed) <= 0.06 * len(worked.LINES), missed


def test_no_program_is_forgotten():
    assert {builder.name for builder in scribe_programs()} >= set(DECIDING)
