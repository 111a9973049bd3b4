"""The shape of the repository: every plugin is whole, every link leads somewhere, nothing names a machine."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PLUGINS = sorted(path for path in (ROOT / "plugins").iterdir() if path.is_dir())
DISTS = [*PLUGINS, ROOT / "skills"]
MAX_LINES = 350

_GENERATED = re.compile(r"__pycache__|build|dist|runs|.*\.egg-info|\.(?!ci$|gitignore$).*")


def _files(folder: Path, *suffixes: str) -> Iterator[Path]:
    """The files that people write; what tools leave behind is passed over."""
    for path in sorted(folder.iterdir()):
        if _GENERATED.fullmatch(path.name):
            continue
        if path.is_dir():
            yield from _files(path, *suffixes)
        elif not suffixes or path.suffix in suffixes:
            yield path


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]


SOURCES = [path for folder in ("scribe_core", "plugins", "skills") for path in _files(ROOT / folder, ".py")]
MODULES = [path for path in SOURCES if "tests" not in path.relative_to(ROOT).parts]
DOCUMENTS = list(_files(ROOT, ".md"))


def test_there_is_something_to_check():
    assert PLUGINS
    assert ROOT / "scribe_core" / "types.py" in MODULES
    assert ROOT / "README.md" in DOCUMENTS


@pytest.mark.parametrize("folder", DISTS, ids=_shown)
class TestDist:
    def test_project_is_complete(self, folder: Path):
        project = _project(folder)
        for key in ("version", "description", "license", "readme", "requires-python"):
            assert project.get(key), key
        assert project["requires-python"].startswith(">=3.1")

    def test_name_is_that_of_the_folder(self, folder: Path):
        assert _project(folder)["name"] == (folder.name if folder in PLUGINS else "scribe-skills")

    def test_offers_something_to_scribe(self, folder: Path):
        assert _project(folder)["entry-points"]["scribe_core"]

    def test_takes_a_range_of_cores(self, folder: Path):
        ranges = [each for each in _project(folder)["dependencies"] if re.match(r"scribe-core\b", each)]
        assert len(ranges) == 1
        assert re.fullmatch(r"scribe-core>=\d+(\.\d+)+,<\d+(\.\d+)+", ranges[0]), ranges[0]

    def test_pins_no_sibling(self, folder: Path):
        assert not [each for each in _project(folder)["dependencies"] if "==" in each and "scribe" in each]

    def test_has_a_readme_and_tests(self, folder: Path):
        assert (folder / "README.md").read_text("utf-8").startswith("# ")
        assert [*folder.glob("tests/test_*.py")], "no tests"

    def test_is_installed_for_development(self, folder: Path):
        assert f"-e ./{_shown(folder)}" in _editable()


def test_core_is_installed_for_development():
    assert "-e ." in _editable()


def _editable() -> set[str]:
    """The lines of what is installed for development, without extras."""
    lines = (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
    return {line.partition("[")[0].strip() for line in lines}


@pytest.mark.parametrize("path", MODULES, ids=_shown)
def test_modules_read_like_chapters(path: Path):
    source = path.read_text("utf-8")
    assert len(source.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(source)), "a module says in its docstring what it is about"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if "testing" not in path.relative_to(ROOT).parts], ids=_shown
)
def test_core_runs_without_its_testing_tools(path: Path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not [name for name in names if name.startswith(("scribe_core.testing", "pytest"))]


_MACHINES = re.compile(r"(?<![\w./-])/(?:work|root|home/\w+|Users/\w+|opt/\w+)(?:/|\b)")
_REGISTRIES = re.compile(
    r"(?:py" + r"pi\.org|python" + r"hosted|conda\." + r"anaconda|crates\." + r"io|npm" + r"js)"
)


@pytest.mark.parametrize("path", [*_files(ROOT)], ids=_shown)
def test_nothing_names_a_machine_or_a_registry(path: Path):
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        return  # a picture
    for number, line in enumerate(lines, start=1):
        for pattern in (_MACHINES, _REGISTRIES):
            assert not pattern.search(line), f"line {number}: {line.strip()[:100]}"


def test_the_patterns_find_what_they_are_for():
    root = "/"  # apart from the names, or this file would name a machine
    for text in (f"cd {root}work/x", f'"{root}root"', f"({root}home/ann/x)", f"={root}Users/ann"):
        assert _MACHINES.search(text), text
    for text in (f"a{root}work{root}b", "https://example.org/work", "homework/", "./root", "/works"):
        assert not _MACHINES.search(text), text
    assert _REGISTRIES.search("https://py" + "pi.org/simple")


@pytest.mark.parametrize("path", DOCUMENTS, ids=_shown)
def test_links_lead_somewhere(path: Path):
    text = _prose(path)
    targets = re.findall(r"\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)", text, re.MULTILINE)
    for target in (inline or reference for inline, reference in targets):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = path if not name else (path.parent / name)
        assert found.exists(), target
        assert found.resolve().is_relative_to(ROOT), f"{target} is outside the repository"
        if anchor and found.suffix == ".md":
            assert anchor in _anchors(found), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=_shown)
def test_our_packages_are_installed_from_where_they_are(path: Path):
    ours = "|".join(folder.name for folder in [*PLUGINS, ROOT / "scribe-core", ROOT / "scribe-skills"])
    assert not re.findall(rf"pip install[^\n]* (?:{ours})\b", path.read_text("utf-8")), (
        "no index has them yet"
    )


def _prose(path: Path) -> str:
    """A document without its code."""
    text = re.sub(r"^(```|~~~).*?^\1", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def _anchors(path: Path) -> set[str]:
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.S), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
