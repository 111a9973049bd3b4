"""The builder of the curated library."""

from importlib.resources import as_file, files
from typing import ClassVar

from attrs import frozen

from scribe_core.skills import Library, load_folder


@frozen(kw_only=True)
class ScribeSkills:
    """Curated prototypes for function calling, and the general one."""

    name: ClassVar[str] = "scribe-skills"

    def build(self) -> Library:
        with as_file(files("scribe_skills") / "prototypes") as folder:
            return load_folder(folder, source=self.name)
