from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from scribe_core import aio
from scribe_core.builtin.folder import Folder
from scribe_core.errors import ConfigError
from scribe_core.protocols import Judge
from scribe_core.skills import (
    CalibrationCase,
    Check,
    FailureMode,
    Library,
    Problem,
    Prototype,
    Routing,
    apply_rubric,
    calibration_problems,
    calibration_request,
    dump_prototype,
    lint,
    load_folder,
    load_prototype,
    merge,
    parse_prototype,
    schema,
)
from scribe_core.spans import before, span_text
from scribe_core.testing import (
    LibraryContract,
    ScriptedJudge,
    sample_library,
    sample_prototype,
    sample_trajectory,
)
from scribe_core.trajectories import dump_trajectory
from scribe_core.types import Answer, Finding, Verdict

SKILL = """
schema_version: 1
id: one-call
version: 2
title: Calling a tool
level: skill
scope: subgoal
domain: [function-calling]
when_to_use: A tool fits.
when_not_to_use: ""
reasoning_pattern: [Find the tool]
rubric: {0: Nothing., 1: Wrong., 2: A slip., 3: Right.}
checks:
  - {id: parses, question: "Does it parse?", caps: 0, program: call-parses}
  - {id: grounded, question: "Is it grounded?", caps: 1, evidence: required}
failure_modes:
  - {id: chatty, description: It chats., caps: 2, example: Sure!}
routing: {exemplars: [one tool offered], confusable_with: [general]}
calibration:
  - {span: {id: c, messages: []}, score: 2, source: authors}
provenance: {source: written}
lifecycle: {status: active}
"""


def content(**changes: Any) -> dict[str, Any]:
    return {**yaml.safe_load(SKILL), **changes}


def without(key: str) -> dict[str, Any]:
    found = content()
    del found[key]
    return found


class TestFolder(LibraryContract):
    @pytest.fixture
    def builder(self, tmp_path: Path) -> Folder:
        (tmp_path / "one-call.yaml").write_text(SKILL)
        (tmp_path / "general.yml").write_text(SKILL.replace("id: one-call", "id: general"))
        return Folder(path=str(tmp_path))


# Loading


def test_a_skill_file_is_a_prototype(tmp_path: Path) -> None:
    (path := tmp_path / "one-call.yaml").write_text("\ufeff" + SKILL, encoding="utf-8")
    prototype = load_prototype(path)
    assert evolve(prototype, digest="") == Prototype(
        schema_version=1,
        id="one-call",
        version=2,
        title="Calling a tool",
        level="skill",
        scope="subgoal",
        domain=("function-calling",),
        when_to_use="A tool fits.",
        when_not_to_use="",
        reasoning_pattern=("Find the tool",),
        rubric={0: "Nothing.", 1: "Wrong.", 2: "A slip.", 3: "Right."},
        checks=(
            Check(id="parses", question="Does it parse?", caps=0, program="call-parses"),
            Check(id="grounded", question="Is it grounded?", caps=1, evidence="required"),
        ),
        failure_modes=(FailureMode(id="chatty", description="It chats.", caps=2, example="Sure!"),),
        routing=Routing(exemplars=("one tool offered",), confusable_with=("general",)),
        calibration=(CalibrationCase(span={"id": "c", "messages": []}, score=2.0, source="authors"),),
        provenance={"source": "written"},
        lifecycle={"status": "active"},
    )


def test_the_schema_is_a_closed_schema_of_2020_12() -> None:
    Draft202012Validator.check_schema(schema())
    text = str(schema())
    # All but the calibration span, which is a trajectory with keys of its own, and what a miner tells.
    assert text.count("'type': 'object'") == text.count("'additionalProperties': False") + 2


RUBRIC = {"0": "a", "1": "b", "2": "c", "3": "d"}
CHECK = {"id": "parses", "question": "Does it?", "caps": 0}
MODE = {"id": "chatty", "description": "It chats.", "caps": 2}
BAD_CONTENT: list[tuple[Any, str]] = [
    (None, "expected a mapping of prototype fields, got None"),
    ([], "expected a mapping of prototype fields, got []"),
    (content(colour="red"), "the file: unknown key 'colour'"),
    (content(titel="x"), "unknown key 'titel'; did you mean 'title'?"),
    (without("title"), "the file: the key 'title' is missing"),
    (content(schema_version=2), "schema_version: 2 is newer than 1"),
    (content(schema_version="1"), "schema_version: '1' does not fit; expected 1"),
    (content(id="One Call"), "id: 'One Call' does not fit; an id is lower-case words joined by '-'"),
    (content(id="one-call\n"), "id: 'one-call\\n' does not fit"),
    (content(id="a" * 65), "expected at most 64 characters"),
    (content(version=0), "version: 0 does not fit; expected at least 1"),
    (content(version=True), "version: expected a whole number, got True"),
    (content(title=" "), "title: ' ' does not fit; write some text"),
    (content(title=False), "title: expected text (in quotes where YAML reads something else), got False"),
    (content(level="middle"), "level: 'middle' is not a choice (choices: execution, planning, skill)"),
    (content(scope="sub-goal"), "scope: 'sub-goal' is not a choice; did you mean 'subgoal'?"),
    (content(domain="tools"), "domain: expected a list, got 'tools'"),
    (content(rubric=[]), "rubric: expected a mapping, got []"),
    (content(rubric={0: "a", 1: "b", 2: "c"}), "rubric: the key '3' is missing"),
    (content(rubric={**RUBRIC, "4": "e"}), "rubric: unknown key '4'"),
    (content(rubric={**RUBRIC, 0: "e"}), "rubric: key 0 is not text"),
    (content(rubric={**RUBRIC, True: "e"}), "rubric: key True is not text"),
    (content(checks=[]), "checks: [] does not fit; expected at least 1 item"),
    (content(checks=[{**CHECK, "caps": 3}]), "checks[0].caps: 3 does not fit; expected at most 2"),
    (content(checks=[{**CHECK, "caps": -1}]), "checks[0].caps: -1 does not fit; expected at least 0"),
    (content(checks=[{**CHECK, "caps": 1.5}]), "checks[0].caps: expected a whole number, got 1.5"),
    (content(checks=[{**CHECK, "evidence": "yes"}]), "checks[0].evidence: 'yes' is not a choice"),
    (content(checks=[{**CHECK, "program": "os:system"}]), "write the name of a program, or dist/name"),
    (content(checks=[CHECK, CHECK]), "checks[1].id: 'parses' appears twice"),
    (content(failure_modes=[{**MODE, "id": "parses"}]), "failure_modes[0].id: 'parses' appears twice"),
    (
        content(failure_modes=[{**MODE, "cap": 1}]),
        "failure_modes[0]: unknown key 'cap'; did you mean 'caps'?",
    ),
    (content(routing={"exemplar": []}), "routing: unknown key 'exemplar'; did you mean 'exemplars'?"),
    (
        content(calibration=[{"span": {"id": "x"}, "score": 1, "source": "s"}]),
        "the key 'messages' is missing",
    ),
    (
        content(calibration=[{"span": {"id": 1, "messages": []}, "score": 4, "source": "s"}]),
        "score: 4 does not fit",
    ),
    (content(provenance={"n": float("nan")}), "provenance.n: nan is not a number in JSON"),
    (content(provenance={"source": "\ud800"}), "half a surrogate pair"),
    (content(provenance={"source": b"bytes"}), "is no text, number, list or mapping"),
    (content(provenance={1: "x"}), "provenance: key 1 is not text"),
    (
        content(lifecycle={"status": "alive"}),
        "lifecycle.status: 'alive' is not a choice; did you mean 'active'?",
    ),
]


@pytest.mark.parametrize(("bad", "expected"), BAD_CONTENT, ids=[expected for _, expected in BAD_CONTENT])
def test_bad_content_is_named(bad: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_prototype(bad, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml: ")
    assert expected in str(caught.value)


BAD_FILES = [
    (b"", "expected a mapping of prototype fields, got None"),
    (b"\xff\xfe", "byte 0 is not UTF-8"),
    (b"a: \x00", "not valid YAML"),
    (b"a: [1", "not valid YAML: line 1"),
    (b"a: 1\na: 2", "line 2, column 1: key 'a' appears twice"),
    (b"rubric: {0: a, '0': b}", "key '0' appears twice"),
    (b"a: &x 1\nb: *x", "anchors and aliases are not allowed"),
    (b"a: &x [*x]", "anchors and aliases are not allowed"),
    (b"a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
    (b"? [1]\n: 2", "not valid YAML"),
    (b"a: 1\n---\nb: 2", "not valid YAML"),
    (b"[" * 100_000, "not valid YAML: nested too deeply"),
    (b"provenance: " + b"{a: " * 70 + b"1" + b"}" * 70, "nested more than 64 levels deep"),
    (b"a: " + b"1" * 5000, "not valid YAML"),
    (b"a: !!timestamp 2020-99-99", "not valid YAML"),
    (b"a: !!binary aGk=", "is no text, number, list or mapping"),
    (b"x" * (256 * 1024 + 1), "larger than 262144 bytes"),
]


@pytest.mark.parametrize(("data", "expected"), BAD_FILES, ids=[expected for _, expected in BAD_FILES])
def test_a_bad_file_is_one_clear_error(tmp_path: Path, data: bytes, expected: str) -> None:
    (path := tmp_path / "bad.yaml").write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_prototype(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)


def test_dates_stay_text_and_merge_keys_are_keys(tmp_path: Path) -> None:
    (path := tmp_path / "p.yaml").write_text(SKILL.replace("source: written", "source: 2024-01-31"))
    assert load_prototype(path).provenance == {"source": "2024-01-31"}
    path.write_text(SKILL.replace("lifecycle: {status: active}", "lifecycle: {<<: {status: active}}"))
    with pytest.raises(ConfigError, match="lifecycle: unknown key '<<'"):
        load_prototype(path)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60) | st.lists(st.sampled_from(SKILL.split("\n")), max_size=20).map("\n".join))
def test_no_text_breaks_the_loader(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with suppress(ConfigError):
        assert isinstance(load_prototype(path), Prototype)


def test_what_is_no_file_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_prototype(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="none: no such folder"):
        load_folder(tmp_path / "none")
    with pytest.raises(ConfigError, match="no skill files"):
        load_folder(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"folder\.yaml: no such file"):
        load_folder(tmp_path)


def test_a_folder_is_a_library(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.yaml").write_text(SKILL)
    (tmp_path / "sub" / "a.yml").write_text(SKILL.replace("one-call", "general"))
    (tmp_path / "notes.txt").write_text("not a skill")
    library = load_folder(tmp_path, source="mine")
    assert list(library) == ["general", "one-call"]
    assert library.source == "mine"
    (tmp_path / "c.yaml").write_text(SKILL)
    with pytest.raises(ConfigError, match=r"c\.yaml: id 'one-call' is also that of .*b\.yaml"):
        load_folder(tmp_path)


# Digests and libraries


def test_dump_is_the_inverse_of_parse() -> None:
    prototype = parse_prototype(content(), "x")
    assert parse_prototype(dump_prototype(prototype), "x") == prototype
    Draft202012Validator(schema()).validate(dump_prototype(prototype))
    bare = {key: value for key, value in content().items() if key in schema()["required"]}
    assert set(dump_prototype(parse_prototype(bare, "x"))) == set(bare)


def test_the_digest_is_of_the_content_alone() -> None:
    digest = parse_prototype(content(), "x").digest
    assert len(digest) == 64
    shuffled = dict(reversed(content().items()))
    spelt_out = content(checks=[{**content()["checks"][0], "evidence": "none"}, content()["checks"][1]])
    assert parse_prototype(shuffled, "elsewhere").digest == digest
    assert parse_prototype(spelt_out, "x").digest == digest
    for key, other in [("title", "Other"), ("version", 3), ("provenance", {}), ("domain", [])]:
        assert parse_prototype(content(**{key: other}), "x").digest != digest


def test_a_library_is_an_immutable_mapping_in_the_order_of_ids() -> None:
    library = Library([sample_prototype(id="b"), sample_prototype(id="a")])
    assert list(library) == ["a", "b"]
    assert library["a"].digest != library["b"].digest
    assert "c" not in library
    with pytest.raises(TypeError):
        library["c"] = sample_prototype()  # type: ignore[index]


def test_the_digest_of_a_library_does_not_depend_on_order() -> None:
    one, two = sample_prototype(id="a"), sample_prototype(id="b")
    assert Library([one, two]).digest == Library([two, one]).digest
    assert Library([one]).digest != Library([one, two]).digest
    assert Library([one, evolve(two, title="Other")]).digest != Library([one, two]).digest


def test_a_stale_digest_is_not_believed() -> None:
    assert Library([sample_prototype(digest="stale")]).digest == Library([sample_prototype()]).digest


def test_two_different_prototypes_cannot_share_an_id() -> None:
    with pytest.raises(ConfigError, match="two different prototypes have the id 'call-a-tool'"):
        Library([sample_prototype(), sample_prototype(title="Other")])
    assert len(Library([sample_prototype(), sample_prototype()])) == 1


def test_prototypes_by_scope() -> None:
    library = sample_library()
    assert {prototype.id for prototype in library.trajectory_prototypes()} == {"plan-ahead"}
    assert {p.id for p in library.subgoal_prototypes()} == {"call-a-tool", "report-results", "general"}
    assert library.general.id == "general"


@pytest.mark.parametrize("scope", [None, "trajectory"])
def test_the_general_prototype_has_to_be_there(scope: Any) -> None:
    prototypes = [sample_prototype()] + ([sample_prototype(id="general", scope=scope)] if scope else [])
    with pytest.raises(ConfigError, match="mine has no prototype 'general' of scope 'subgoal'"):
        _ = Library(prototypes, source="mine").general


def test_libraries_merge() -> None:
    one = Library([sample_prototype(id="a"), sample_prototype(id="b")], source="one")
    two = Library([sample_prototype(id="b"), sample_prototype(id="c")], source="two")
    both = merge([one, two])
    assert list(both) == ["a", "b", "c"]
    assert both.source == "one + two"
    assert merge([two, one]).digest == both.digest
    assert merge([one]).digest == one.digest
    clash = Library([sample_prototype(id="b", title="Other")], source="three")
    with pytest.raises(ConfigError, match="one and three both have a prototype 'b', and they differ"):
        merge([one, two, clash])


# The scoring rule

RULES = sample_prototype(
    checks=(
        Check(id="zero", question="Zero?", caps=0),
        Check(id="one", question="One?", caps=1),
        Check(id="two", question="Two?", caps=2, evidence="required"),
    ),
    failure_modes=(
        FailureMode(id="mode-zero", description="Mode zero.", caps=0),
        FailureMode(id="mode-two", description="Mode two.", caps=2),
    ),
)


def found(answer: Answer, *quotes: str) -> Finding:
    return Finding(answer=answer, evidence=quotes, reason=f"because {answer}")


PASS, FAIL, QUOTED = found("pass", "ok"), found("fail"), found("fail", "here")
SKIP, UNSURE = found("not_applicable"), found("undecided")
SCORES = [
    ([PASS, PASS, PASS], {}, 3.0),
    ([PASS, SKIP, SKIP], {}, 3.0),
    ([PASS, PASS, QUOTED], {}, 2.0),
    ([PASS, FAIL, QUOTED], {}, 1.0),
    ([FAIL, FAIL, PASS], {}, 0.0),
    ([PASS, PASS, PASS], {"mode-two": FAIL}, 2.0),
    ([PASS, FAIL, PASS], {"mode-two": FAIL}, 1.0),
    ([PASS, PASS, PASS], {"mode-zero": FAIL, "mode-two": FAIL}, 0.0),
    ([PASS, PASS, PASS], {"mode-zero": PASS, "mode-two": PASS}, 3.0),
    ([PASS, PASS, PASS], {"mode-zero": UNSURE, "mode-two": SKIP}, 3.0),
    ([SKIP, SKIP, SKIP], {}, None),
    ([SKIP, SKIP, SKIP], {"mode-two": PASS}, None),
    ([SKIP, SKIP, SKIP], {"mode-two": FAIL}, 2.0),
    ([UNSURE, PASS, PASS], {}, None),
    ([PASS, PASS, UNSURE], {}, None),
    ([UNSURE, FAIL, PASS], {}, None),
    ([UNSURE, PASS, PASS], {"mode-two": FAIL}, None),
    # What is undecided can no longer lower the score.
    ([FAIL, UNSURE, UNSURE], {}, 0.0),
    ([PASS, FAIL, UNSURE], {}, 1.0),
    ([UNSURE, PASS, PASS], {"mode-zero": FAIL}, 0.0),
    # A failure without the quote that it requires decides nothing.
    ([PASS, PASS, FAIL], {}, None),
    ([PASS, PASS, found("fail", "")], {}, None),
    ([PASS, FAIL, FAIL], {}, 1.0),
]


@pytest.mark.parametrize(("answers", "modes", "score"), SCORES)
def test_the_scoring_rule(answers: list[Finding], modes: dict[str, Finding], score: float | None) -> None:
    verdict = apply_rubric(RULES, dict(zip(["zero", "one", "two"], answers, strict=True)), modes)
    assert verdict.score == score
    assert verdict.status == ("abstained" if score is None else "scored")
    assert verdict.reason


def test_a_check_that_nobody_decided_is_undecided() -> None:
    verdict = apply_rubric(RULES, {"zero": PASS, "one": PASS}, {})
    assert verdict.status == "abstained"
    assert "two is undecided: nobody looked" in verdict.reason


def test_a_verdict_says_what_lowered_it_and_quotes_it() -> None:
    checks = {"zero": PASS, "one": found("fail", "a", "b"), "two": QUOTED}
    verdict = apply_rubric(RULES, checks, {"mode-two": found("fail", "b", "c")})
    assert verdict.failed_checks == ("one", "two")
    assert verdict.failure_modes == ("mode-two",)
    assert verdict.evidence == ("a", "b", "here", "c")
    assert verdict.reason.startswith("one (at most 1): because fail; two (at most 2)")


def test_a_finding_without_a_reason_is_explained_by_its_question() -> None:
    verdict = apply_rubric(
        RULES,
        {"zero": PASS, "one": Finding(answer="fail"), "two": PASS},
        {"mode-two": Finding(answer="fail")},
    )
    assert verdict.reason == "one (at most 1): One?; mode-two (at most 2): Mode two."


def test_a_clean_verdict_quotes_what_passed() -> None:
    verdict = apply_rubric(RULES, {"zero": PASS, "one": found("pass", "fine", ""), "two": SKIP}, {})
    assert (verdict.evidence, verdict.failed_checks, verdict.failure_modes) == (("ok", "fine"), (), ())


answers = st.sampled_from(["pass", "fail", "not_applicable", "undecided"]).map(lambda a: found(a, "quote"))


@settings(deadline=None)
@given(st.fixed_dictionaries({"zero": answers, "one": answers, "two": answers}), answers, answers)
def test_leaving_a_check_undecided_abstains_or_changes_nothing(
    checks: dict[str, Finding], zero: Finding, two: Finding
) -> None:
    modes = {"mode-zero": zero, "mode-two": two}
    score = apply_rubric(RULES, checks, modes).score
    for check in checks:
        assert apply_rubric(RULES, {**checks, check: UNSURE}, modes).score in (None, score)


# Lint

CLEAN = sample_prototype(
    checks=(
        Check(id="zero", question="Is the called tool the one that fits?", caps=0, program="tool"),
        Check(id="one", question="Is every argument taken from the request and of its type?", caps=1),
    ),
    failure_modes=(FailureMode(id="two", description="A default is spelt out.", caps=2),),
)


def rules(*prototypes: Prototype, programs: tuple[str, ...] = ("tool",)) -> list[tuple[str, str]]:
    general = evolve(CLEAN, id="general", when_to_use="Nothing else fits.")
    return [(each.prototype, each.rule) for each in lint(Library([general, *prototypes]), programs)]


def test_a_clean_library_has_no_problems() -> None:
    assert rules(CLEAN) == []


def test_every_level_below_three_is_somebodys_cap() -> None:
    assert rules(evolve(CLEAN, failure_modes=())) == [("call-a-tool", "levels")]
    (problem,) = lint(Library([evolve(CLEAN, id="general", failure_modes=())]), ["tool"])
    assert problem == Problem(
        "general", "levels", "no check or failure mode has caps 2, so no span can score 2; add one"
    )


def test_programs_have_to_exist() -> None:
    mode = FailureMode(id="two", description="A default is spelt out.", caps=2, program="repeated")
    assert rules(evolve(CLEAN, failure_modes=(mode,))) == [("call-a-tool", "programs")]
    assert rules(evolve(CLEAN, failure_modes=(mode,)), programs=("tool", "repeated")) == []
    (problem,) = lint(Library([evolve(CLEAN, id="general")]), ["tools"])
    assert problem.message == "zero: there is no program 'tool'; did you mean 'tools'? (choices: tools)"


@pytest.mark.parametrize(
    "changes",
    [
        {"when_to_use": "The bound is c < 44."},
        {"rubric": {**CLEAN.rubric, 2: "It finds 144 solutions."}},
        {"checks": (*CLEAN.checks, Check(id="more", question="Is it 2024?", caps=0))},
        {"failure_modes": (FailureMode(id="two", description="It says 10 instead.", caps=2),)},
    ],
)
def test_numbers_of_one_problem_do_not_belong_in_criteria(changes: dict[str, Any]) -> None:
    assert rules(evolve(CLEAN, **changes)) == [("call-a-tool", "instance-numbers")]
    assert rules(evolve(CLEAN, routing=Routing(exemplars=("Weather on 2024-01-31",)))) == []


@pytest.mark.parametrize("question", ["Is it right? Is it short?", "Is it right; is it short?"])
def test_a_check_asks_one_thing(question: str) -> None:
    checks = (CLEAN.checks[0], Check(id="one", question=question, caps=1))
    assert rules(evolve(CLEAN, checks=checks)) == [("call-a-tool", "compound")]


def test_at_most_three_checks_are_left_to_a_model() -> None:
    asked = tuple(Check(id=f"asked-{number}", question="Is it?", caps=1) for number in range(3))
    assert rules(evolve(CLEAN, checks=(CLEAN.checks[0], *asked))) == []
    assert rules(evolve(CLEAN, checks=(*CLEAN.checks, *asked))) == [("call-a-tool", "model-checks")]


def test_confusable_prototypes_exist() -> None:
    for other in ("nobody", "call-a-tool"):
        routing = Routing(confusable_with=("general", other))
        assert rules(evolve(CLEAN, routing=routing)) == [("call-a-tool", "confusable")]


def test_two_prototypes_need_different_words() -> None:
    twin = evolve(CLEAN, id="twin", when_to_use=CLEAN.when_to_use.upper() + " Always")
    assert rules(CLEAN, twin) == [("call-a-tool", "near-duplicate")]
    cousin = evolve(
        CLEAN, id="cousin", when_to_use="The policy calls a tool again after it answered an error."
    )
    assert rules(CLEAN, cousin) == []


def test_lint_finds_rubrics_that_fill_the_prompt() -> None:
    long = evolve(CLEAN, reasoning_pattern=("Think about it once more. " * 200,))
    assert rules(long) == [("call-a-tool", "token-budget")]


def test_a_library_needs_the_general_prototype() -> None:
    assert [(each.prototype, each.rule) for each in lint(Library([CLEAN]), ["tool"])] == [
        ("general", "general")
    ]


# Calibration


def case(score: float, **changes: Any) -> CalibrationCase:
    span = {**dump_trajectory(sample_trajectory()), **changes}
    return CalibrationCase(span=span, score=score, source="authors")


def calibrated(judge: Judge, *cases: CalibrationCase, **changes: Any) -> list[str]:
    async def problems() -> list[Problem]:
        library = Library([sample_prototype(calibration=cases, **changes)])
        return await calibration_problems(library, judge)

    return [f"{each.prototype} {each.rule}: {each.message}" for each in aio.run(problems())]


def test_calibration_cases_score_as_labelled() -> None:
    assert calibrated(ScriptedJudge(2.0), case(2.0), case(2.0)) == []
    assert calibrated(ScriptedJudge(2.0)) == []
    assert calibrated(ScriptedJudge(2.0), case(2.0), case(3.0)) == [
        "call-a-tool calibration: calibration[1] (authors) is labelled 3 and judged 2: "
    ]


def test_a_case_that_is_left_open_is_a_problem_where_programs_decide_everything() -> None:
    judge = ScriptedJudge(Verdict(status="abstained", reason="no check applies"))
    assert calibrated(judge, case(0.0)) == [
        "call-a-tool not checked: calibration[0] (authors) needs a model: no check applies"
    ]
    decided = tuple(evolve(check, program="tool") for check in CLEAN.checks)
    assert calibrated(judge, case(0.0), checks=decided) == [
        "call-a-tool calibration: calibration[0] (authors) is labelled 0 and judged abstained: no check applies"
    ]


def test_a_case_that_is_no_trajectory_is_a_problem() -> None:
    silent = case(1.0, messages=[{"role": "user", "content": "Hi"}])
    assert calibrated(ScriptedJudge(1.0), case(1.0, outcome=7), case(1.0), silent) == [
        "call-a-tool calibration: calibration[0].span: outcome: expected a number in [0, 1] or null, got 7",
        "call-a-tool calibration: calibration[2].span: messages: no assistant message after the last user message; "
        "there is nothing to judge",
    ]


def test_a_case_is_judged_as_what_follows_the_last_request() -> None:
    messages = dump_trajectory(sample_trajectory())["messages"]
    request = calibration_request(sample_prototype(), case(3.0, messages=[*messages, *messages[1:4]]))
    assert len(before(request.subgoal)) == len(messages) + 1
    assert span_text(request.subgoal).startswith("I will look up Paris first.")
    assert span_text(request.subgoal).endswith('{"sky": "clear"}')
    whole = calibration_request(sample_prototype(scope="trajectory"), case(3.0))
    assert before(whole.subgoal) == ()
