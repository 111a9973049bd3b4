import pytest

from scribe_core.types import Message, Span, Subgoal, ToolCall, Trajectory

INTEGERS = "How many integers c are possible?"


@pytest.mark.parametrize(
    ("program", "problem", "text", "expected"),
    [
        ("equalities_hold", "", "So 12 * 12 = 146.", "fail"),
        ("equalities_hold", "", "So x = 5 and y = 2.", "not_applicable"),
        ("equalities_hold", "", "3 = 3", "not_applicable"),
        ("equalities_hold", "", "**10**10**10 = 5**", "not_applicable"),
        ("inequalities_hold", "", "Since 7 > 9, we are done.", "fail"),
        ("approximations_close", "", "so 17 / 3 ≈ 9.1", "fail"),
        ("counts_computed", "", r"$\binom{7}{3} = 21$", "fail"),
        ("counts_computed", "", "7 + 3 = 11", "not_applicable"),
        ("congruences_hold", "", r"$2^{2023} \equiv 3 \pmod{5}$", "pass"),
        ("congruences_hold", "", r"$2^{2023} \equiv 2 \pmod{5}$", "fail"),
        ("congruences_hold", "", "100 mod 7 = 3", "fail"),
        ("congruences_hold", "", "n ≡ 3 (mod 7)", "not_applicable"),
        ("identities_hold", "", "Expanding, (x + 2)^2 = x^2 + 4.", "fail"),
        ("identities_hold", "", "The equation (x + 2)^2 = x^2 + 4.", "not_applicable"),
        ("solution_satisfies_equation", "", "2x + 3 = 13. Thus x = 6.", "fail"),
        ("solution_satisfies_equation", "Solve 3x = 12.", "We get x = 4.", "pass"),
        ("solution_satisfies_equation", "", "x^2 = 9, so x = 3 or x = -3.", "pass"),
        ("solution_satisfies_equation", "", "2x + 3 = 13. Let x = 1.", "not_applicable"),
        ("substitution_carried_out", "", "Check: 2(5) + 3 = 13.", "pass"),
        ("substitution_carried_out", "", "Check: 2(5) + 3 = 14.", "fail"),
        ("substitution_carried_out", "", "It is easily verified. Checking shows that it works.", "fail"),
        ("substitution_carried_out", "", "So x = 5.", "not_applicable"),
        ("integer_bounds_tight", INTEGERS, "Hence c < 44.75.", "fail"),
        ("integer_bounds_tight", INTEGERS, r"Hence $c < \frac{179}{4}$.", "fail"),
        ("integer_bounds_tight", INTEGERS, "Hence c < 44.75, so c <= 44.", "pass"),
        ("integer_bounds_tight", INTEGERS, "Hence 3.5 <= c, and c is at least 4.", "pass"),
        ("integer_bounds_tight", "For which real c?", "Hence c < 44.75.", "not_applicable"),
        ("integer_bounds_tight", INTEGERS, "Hence c < 45.", "not_applicable"),
        ("strict_bound_not_attained", "", "So n < 45. The largest n is 45.", "fail"),
        ("strict_bound_not_attained", "", "So n < 45. The largest n is 44.", "pass"),
        ("strict_bound_not_attained", "", "So n >= 3, and the smallest value is 3.", "pass"),
        ("unknowns_introduced", "", "Let x be the price. Then 2x + 3 = 13.", "pass"),
        ("unknowns_introduced", "Solve 2x = 4.", "2x = 4", "pass"),
        ("unknowns_introduced", "Two apples cost four.", "2q + 3 = 13", "fail"),
        ("givens_used", "A box has 12 rows of 15 and 7 spare.", "12 * 15 + 7", "pass"),
        ("givens_used", "A box has 12 rows of 15 and 7 spare.", "We multiply 12 by it.", "fail"),
        ("quantities_possible", "", "The probability is 7/6.", "fail"),
        ("quantities_possible", "", "The probability is 5/6.", "pass"),
        ("quantities_possible", "", "The area is -4.", "fail"),
        ("quantities_possible", "", "The number of ways is 3.5.", "fail"),
        ("quantities_possible", "", "The area is 4x.", "not_applicable"),
        ("cases_listed_fully", "", "Case 1: n is even. Case 2: n is odd.", "pass"),
        ("cases_listed_fully", "", "There are three cases. Case 1: a. Case 2: b.", "fail"),
        ("cases_listed_fully", "", "Case 1: a. Case 3: b.", "fail"),
        ("cases_listed_fully", "", "Case 1: n is even, done.", "fail"),
        ("each_case_argued", "", "Case 1: n is even here. Case 2: ", "fail"),
        ("cases_concluded", "", "Case 1: it is 2. Case 2: it is 3. In both cases it is prime.", "pass"),
        ("cases_concluded", "", "Case 1: it is 2. Case 2: it is 3.", "fail"),
        ("assumption_discharged", "", "Suppose, for contradiction, that n is even. It is.", "fail"),
        ("assumption_discharged", "", "Suppose to the contrary that n is even. That is impossible.", "pass"),
        ("assumption_discharged", "", "A contradiction.", "fail"),
        (
            "no_step_repeated",
            "",
            "We add the first two numbers now.\nWe add the first two numbers now.",
            "fail",
        ),
        (
            "no_step_repeated",
            "",
            "We add the first two numbers now.\nWe add the last two numbers now.",
            "pass",
        ),
        ("work_shown", "", "It is 5.", "fail"),
        ("work_shown", "", "2 + 3 = 5", "pass"),
        ("answer_given", "", "Therefore the answer is 5.", "pass"),
        ("answer_given", "", "And so we should continue with the other side.", "fail"),
        ("answer_stated_once", "", r"So \boxed{5}. The answer is 5.0.", "pass"),
        ("answer_stated_once", "", r"So \boxed{5}. No: \boxed{6}.", "fail"),
        ("answer_in_form", r"Put it in \boxed{}.", "The answer is 5.", "fail"),
        ("answer_in_form", r"Put it in \boxed{}.", r"It is \boxed{5}.", "pass"),
        ("answer_in_form", "Give the answer as an integer.", "The answer is 5/2.", "fail"),
        ("answer_in_form", "Give it as a common fraction.", "The answer is 6/4.", "fail"),
        ("answer_in_form", "Give it as a common fraction.", "The answer is 3/2.", "pass"),
        ("answer_in_form", "Round to two decimal places.", "The answer is 3.1.", "fail"),
        ("answer_in_form", "How much?", "The answer is 3.1.", "not_applicable"),
        ("answer_follows", "", "3 * 4 = 12. The answer is 12.", "pass"),
        ("answer_follows", "", "3 * 4 = 12. The answer is 17.", "fail"),
    ],
)
def test_what_programs_find(find, program: str, problem: str, text: str, expected: str) -> None:
    finding = find(program, text, problem)
    assert finding.answer == expected, finding.reason
    if expected == "fail" and program not in ("givens_used",):
        assert finding.evidence


PRINTED = Message(role="tool", content="123")


@pytest.mark.parametrize(
    ("result", "text", "program", "expected"),
    [
        ("123", r"The code prints 123, so \boxed{123}.", "printed_values_kept", "pass"),
        ("123", "The code prints 132.", "printed_values_kept", "fail"),
        ("123", "The answer is 132.", "printed_values_kept", "fail"),
        ("123", "Then 123 mod 100 = 23. The answer is 23.", "printed_values_kept", "undecided"),
        ("3.14159", "The answer is 3.14.", "printed_values_kept", "pass"),
        ("", "The answer is 3.", "printed_values_kept", "not_applicable"),
        ("NameError: x", "The answer is 3.", "code_error_handled", "fail"),
        ("NameError: x", "The name was not defined; I fix it.", "code_error_handled", "pass"),
        ("3", "The answer is 3.", "code_error_handled", "not_applicable"),
    ],
)
def test_results_of_runs(find, result: str, text: str, program: str, expected: str) -> None:
    assert find(program, text, "", Message(role="tool", content=result)).answer == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 3", "fail"),
        ("x = 3\nprint(x)", "pass"),
        ("x = 3\nx + 1", "pass"),
        ("", "fail"),
        ("x == 3", "pass"),
    ],
)
def test_code_that_shows_nothing(programs, code: str, expected: str) -> None:
    call = ToolCall(name="python", arguments={"code": code})
    trajectory = Trajectory(id="t", messages=(Message(role="assistant", tool_calls=(call,)),))
    subgoal = Subgoal(trajectory=trajectory, span=Span((0, 0), (1, 0)))
    assert programs["code_shows_result"](subgoal).answer == expected


def test_only_the_span_is_read(programs) -> None:
    text = "We see 2 + 2 = 5. Then 3 + 3 = 6."
    trajectory = Trajectory(id="t", messages=(Message(role="assistant", content=text),))
    span = Span((0, text.index("Then")), (0, len(text)))
    assert programs["equalities_hold"](Subgoal(trajectory=trajectory, span=span)).answer == "pass"
