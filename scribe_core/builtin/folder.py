"""The skill library `folder`: YAML files of one's own."""

from typing import ClassVar

from attrs import frozen

from scribe_core.skills import Library, load_folder


@frozen(kw_only=True)
class Folder:
    """A folder of YAML files, one per prototype."""

    name: ClassVar[str] = "folder"

    path: str

    def build(self) -> Library:
        return load_folder(self.path)
