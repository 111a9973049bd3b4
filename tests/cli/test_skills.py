import json
import re


def test_list(skills, done):
    assert done("skills", "list", "--library", skills) == "general  skill  subgoal  Doing what was asked\n"
    (row,) = json.loads(done("skills", "list", "--library", skills, "--json"))
    assert (row["id"], row["version"], row["checks"], row["failure_modes"]) == ("general", 1, 1, 2)
    assert re.fullmatch("[0-9a-f]{64}", row["digest"])


def test_show(skills, done, refused):
    shown = done("skills", "show", "general", "--library", skills)
    assert "id: general\nversion: 1\ntitle: Doing what was asked\n" in shown
    assert (
        json.loads(done("skills", "show", "general", "--library", skills, "--json"))["rubric"]["3"]
        == "Polite."
    )
    assert "did you mean 'general'?" in refused("skills", "show", "genral", "--library", skills)


def test_what_show_prints_is_a_skill_file(skills, done, tmp_path):
    (tmp_path / "general.yaml").write_text(done("skills", "show", "general", "--library", skills))
    for command in (["list", "--json"], ["show", "general"]):
        arguments = ["skills", *command, "--library"]
        assert done(*arguments, tmp_path) == done(*arguments, skills)


def test_lint_exits_with_1_on_problems(skills, done):
    assert done("skills", "lint", "--library", skills) == "1 prototypes, 0 problem(s)\n"
    shown = done("skills", "lint", "--library", skills, plugins=[], code=1)
    assert "general: programs: polite: there is no program 'polite'" in shown
    (row,) = json.loads(done("skills", "lint", "--library", skills, "--json", plugins=[], code=1))
    assert (row["prototype"], row["rule"]) == ("general", "programs")


def test_lint_judges_the_calibration_cases(skills, scribe, trajectory, tmp_path):
    text = (skills / "general.yaml").read_text()
    for score in (3, 1):
        case = {"span": trajectory("case"), "score": score, "source": "test"}
        (tmp_path / "general.yaml").write_text(f"{text}calibration: [{json.dumps(case)}]\n")
        result = scribe("skills", "lint", "--library", tmp_path)
        assert result.returncode == (score != 3)
        assert ("labelled 1 and judged 3" in result.stdout) == (score == 1)


def test_a_library_that_is_not_there_is_told(skills, refused, tmp_path):
    assert "'nothing' among its skill libraries" in refused("skills", "list", "--library", "nothing")
    assert "no skill files" in refused("skills", "list", "--library", tmp_path)
