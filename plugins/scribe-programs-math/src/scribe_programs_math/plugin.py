"""Names the package's parts without importing them."""

from collections.abc import Iterator
from typing import Any

from scribe_core import hookimpl


@hookimpl
def scribe_programs() -> Iterator[type[Any]]:
    """Programs about mathematical reasoning that need no reference answer."""
    from scribe_programs_math import algebra, answers, bounds, congruences, equalities, modelling, runs, steps

    yield from (
        equalities.equalities_hold,
        equalities.inequalities_hold,
        equalities.approximations_close,
        equalities.counts_computed,
        congruences.congruences_hold,
        algebra.identities_hold,
        algebra.solution_satisfies_equation,
        algebra.substitution_carried_out,
        bounds.integer_bounds_tight,
        bounds.strict_bound_not_attained,
        modelling.unknowns_introduced,
        modelling.givens_used,
        modelling.quantities_possible,
        steps.cases_listed_fully,
        steps.each_case_argued,
        steps.cases_concluded,
        steps.assumption_discharged,
        steps.no_step_repeated,
        steps.work_shown,
        answers.answer_given,
        answers.answer_stated_once,
        answers.answer_in_form,
        answers.answer_follows,
        runs.code_shows_result,
        runs.code_error_handled,
        runs.printed_values_kept,
    )
