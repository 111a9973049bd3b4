"""Libraries and prototypes as files: the lock, and Agent Skills."""

import json
import re

import pytest
import yaml
from attrs import evolve

from scribe_core.cli.main import main
from scribe_core.errors import ConfigError
from scribe_core.skills import Check, Library, dump_prototype, load_folder
from scribe_core.skills.agent_skill import MAX_DESCRIPTION, as_yaml, export_skill, import_skill
from scribe_core.skills.lock import LOCK_FILE, lock_problems, make_lock, source_digest
from scribe_core.testing import sample_library, sample_prototype

NAMED = sample_prototype(checks=(Check(id="parses", question="Does it parse?", caps=0, program="parses"),))
MODULES = {"parses": "scribe_core.errors"}


def changed(**changes):
    return sample_library(evolve(NAMED, **changes))


def test_a_lock_covers_each_prototype_and_the_code_of_its_programs():
    lock = make_lock(sample_library(NAMED), MODULES)
    assert lock["programs"] == {"parses": "scribe_core"}
    assert set(lock["prototypes"]) == {"call-a-tool", "general"}
    assert lock["sources"] == {"scribe_core": source_digest("scribe_core")}
    assert re.fullmatch("[0-9a-f]{64}", lock["digest"])
    assert list(lock_problems(json.loads(json.dumps(lock)), lock)) == []


@pytest.mark.parametrize(
    ("library", "problem"),
    [
        (changed(title="Else", version=2), "call-a-tool: changed"),
        (changed(title="Else"), "call-a-tool: changed, but its version is still 1"),
        (sample_library(NAMED, evolve(NAMED, id="more")), "more: not in the lock"),
        (
            Library([p for p in sample_library(NAMED).values() if p.id == "general"]),
            "call-a-tool: in the lock, but gone",
        ),
    ],
)
def test_what_differs_from_a_lock(library, problem):
    old, new = make_lock(sample_library(NAMED), MODULES), make_lock(library, MODULES)
    assert list(lock_problems(old, new)) == [problem]
    assert old["digest"] != new["digest"]


@pytest.mark.parametrize("old", [None, [], {}, {"prototypes": 1, "sources": {}}, {"prototypes": {}}])
def test_what_is_no_lock(old):
    (problem,) = lock_problems(old, make_lock(sample_library(NAMED), MODULES))
    assert "no lock file" in problem


def test_changed_code_changes_the_lock(tmp_path, monkeypatch):
    package = tmp_path / "judging_programs"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("LIMIT = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    library, modules = sample_library(NAMED), {"parses": "judging_programs.helper"}
    old = make_lock(library, modules)
    (package / "helper.py").write_text("LIMIT = 2\n")
    assert list(lock_problems(old, make_lock(library, modules))) == [
        "the programs of judging_programs have changed"
    ]


def test_a_program_that_does_not_exist():
    with pytest.raises(ConfigError, match="no program 'parses'"):
        make_lock(sample_library(NAMED), {})


def library_folder(tmp_path):
    folder = tmp_path / "library"
    folder.mkdir()
    for prototype in sample_library().values():
        (folder / f"{prototype.id}.yaml").write_text(as_yaml(dump_prototype(prototype)))
    return folder


@pytest.fixture
def run(capsys):
    """Runs the command line: (exit code, what it printed)."""

    def command(*arguments):
        code = main([str(each) for each in arguments])
        return code, "".join(capsys.readouterr())

    return command


def test_lock_command(tmp_path, run):
    folder = library_folder(tmp_path)
    assert run("skills", "lock", folder, "--check")[0] == 2
    assert run("skills", "lock", folder)[0] == 0
    assert run("skills", "lock", folder, "--check")[0] == 0
    assert load_folder(folder)
    path = folder / "general.yaml"
    path.write_text(path.read_text().replace("Anything else", "Whatever"))
    code, shown = run("skills", "lock", folder, "--check")
    assert code == 1
    assert "general: changed, but its version is still 1" in shown
    (folder / LOCK_FILE).write_text("{")
    assert run("skills", "lock", folder, "--check")[0] == 2


def test_export_and_import_lose_nothing(tmp_path, run):
    folder = library_folder(tmp_path)
    assert run("skills", "export", "--library", folder, "--to", tmp_path / "skills")[0] == 0
    exported = sorted((tmp_path / "skills").iterdir())
    assert len(exported) == len(load_folder(folder))
    assert run("skills", "import", *exported, "--to", tmp_path / "back")[0] == 0
    assert load_folder(tmp_path / "back").digest == load_folder(folder).digest
    code, shown = run("skills", "import", *exported, "--to", tmp_path / "back")
    assert code == 2
    assert "exists" in shown


def test_every_curated_prototype_survives(tmp_path):
    pytest.importorskip("scribe_skills")
    from scribe_core.cli.skills import load

    for prototype in load(("scribe-skills",)).values():
        back = import_skill(export_skill(prototype, tmp_path))
        assert back == prototype
        header = yaml.safe_load((tmp_path / prototype.id / "SKILL.md").read_text("utf-8").split("---\n")[1])
        assert header["name"] == prototype.id
        assert len(header["description"]) <= MAX_DESCRIPTION
        assert all(isinstance(value, str) for value in header["metadata"].values())


def test_what_is_no_exported_skill(tmp_path):
    skill = export_skill(sample_prototype(), tmp_path)
    text = (skill / "SKILL.md").read_text()
    (skill / "SKILL.md").write_text(text.replace("name: call-a-tool", "name: another"))
    with pytest.raises(ConfigError, match="name: 'another'"):
        import_skill(skill)
    (skill / "SKILL.md").write_text("# no header")
    with pytest.raises(ConfigError, match="header"):
        import_skill(skill)
    (skill / "prototype.yaml").unlink()
    with pytest.raises(ConfigError, match=r"has no prototype.yaml"):
        import_skill(skill)
    with pytest.raises(ConfigError, match="no exported skill"):
        export_skill(sample_prototype(), tmp_path)
