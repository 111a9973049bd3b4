"""`scribe skills review`, answered through a pipe."""

import pytest
from attrs import evolve

from scribe_core.skills import Check, Routing, dump_prototype, load_folder
from scribe_core.skills.agent_skill import as_yaml
from scribe_core.testing import sample_prototype


def draft(name="say-sorry", **changes):
    plain = sample_prototype(
        id=name,
        title=f"About {name}",
        when_to_use=f"{name} applies.",
        lifecycle={"status": "draft"},
        provenance={"source": "mined", "mined": {"n": 12}},
        routing=Routing(exemplars=("no call made; text answer",), confusable_with=("another-draft",)),
    )
    return evolve(plain, **changes)


@pytest.fixture
def drafts(tmp_path):
    folder = tmp_path / "drafts"
    folder.mkdir()

    def written(*prototypes):
        for each in prototypes:
            (folder / f"{each.id}.yaml").write_text(as_yaml(dump_prototype(each)))
        return folder

    return written


@pytest.fixture
def library(tmp_path):
    return tmp_path / "library"


@pytest.fixture
def reviewed(scribe, library):
    def run(folder, *answers, code=0, **variables):
        text = "".join(f"{answer}\n" for answer in answers)
        done = scribe("skills", "review", folder, "--into", library, text=text, **variables)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run


def test_what_is_accepted_is_written_and_the_rest_is_not(reviewed, drafts, library):
    folder = drafts(draft("one"), draft("three"), draft("two"))
    shown = reviewed(folder, "accept", "reject", "skip")
    taken = load_folder(library)
    assert set(taken) == {"one"}
    assert taken["one"].lifecycle == {"status": "active"}
    assert taken["one"].routing.confusable_with == (), "it names a draft that was not accepted"
    assert "1 accepted, 1 rejected, 1 skipped" in shown
    assert "12, for example" in shown
    assert "no call made; text answer" in shown
    assert len(load_folder(folder)) == 3, "drafts stay"


def test_near_prototypes_are_in_view(reviewed, drafts):
    shown = reviewed(drafts(draft("one"), draft("two")), "a", "s")
    assert "near" in shown
    assert "one (" in shown


def test_an_existing_prototype_is_replaced_only_where_agreed(reviewed, drafts, library):
    folder = drafts(draft("one"))
    reviewed(folder, "accept")
    before = (library / "one.yaml").read_text()
    drafts(draft("one", title="Another title"))
    assert "replace it?" in reviewed(folder, "accept", "no", "quit")
    assert (library / "one.yaml").read_text() == before
    reviewed(folder, "accept", "yes")
    taken = load_folder(library)["one"]
    assert (taken.version, taken.title) == (2, "Another title")


def test_a_replaced_file_keeps_its_place(reviewed, drafts, library):
    (library / "calls").mkdir(parents=True)
    (library / "calls/any-name.yml").write_text(as_yaml(dump_prototype(draft("one"))))
    reviewed(drafts(draft("one", title="Another title")), "accept", "yes")
    assert [path.name for path in library.rglob("*.y*ml")] == ["any-name.yml"]


def test_merging_adds_what_is_new_and_bumps(reviewed, drafts, library):
    reviewed(drafts(draft("one")), "accept")
    extra = Check(id="is-polite", question="Is it polite?", caps=2)
    other = draft("two", checks=(*draft().checks, extra), routing=Routing(exemplars=("one call made",)))
    folder = drafts(other)
    (folder / "one.yaml").unlink()
    shown = reviewed(folder, "merge", "one")
    taken = load_folder(library)
    assert set(taken) == {"one"}
    assert taken["one"].version == 2
    assert [check.id for check in taken["one"].checks] == ["right-tool", "arguments-grounded", "is-polite"]
    assert taken["one"].routing.exemplars == ("no call made; text answer", "one call made")
    assert "1 merged" in shown


def test_merging_into_nothing_says_so(reviewed, drafts, library):
    folder = drafts(draft("one"))
    assert "is empty" in reviewed(folder, "merge", "quit")
    reviewed(folder, "accept")
    shown = reviewed(drafts(draft("two")), "merge", "elsewhere", "quit")
    assert set(load_folder(library)) == {"one"}, shown


def test_editing(reviewed, drafts, library, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/About one/About two/" "$1"\n')
    editor.chmod(0o755)
    reviewed(drafts(draft("one")), "edit", "accept", EDITOR=str(editor), VISUAL=str(editor))
    assert load_folder(library)["one"].title == "About two"


def test_an_edit_that_is_no_skill_file_is_told_and_dropped(reviewed, drafts, library, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "id: Wrong" > "$1"\n')
    editor.chmod(0o755)
    shown = reviewed(drafts(draft("one")), "edit", "accept", EDITOR=str(editor), VISUAL=str(editor))
    assert "the draft is as it was" in shown
    assert load_folder(library)["one"].title == "About one"


def test_input_that_ends_ends_the_review(reviewed, drafts, library):
    shown = reviewed(drafts(draft("one"), draft("two")), "accept")
    assert "1 accepted, 1 not looked at" in shown
    assert set(load_folder(library)) == {"one"}


def test_another_answer_is_asked_for_again(reviewed, drafts, library):
    assert "'perhaps' is none of" in reviewed(drafts(draft("one")), "perhaps", "accept")
    assert set(load_folder(library)) == {"one"}
