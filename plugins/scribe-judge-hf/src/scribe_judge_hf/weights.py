"""Which weights these are."""

import hashlib
from pathlib import Path

from scribe_policy_hf import adapters, models
from transformers.utils import cached_file

_READ = ("*.json", "*.jinja", "*.model", "*.safetensors", "*.txt")
"""What `from_pretrained` reads: a change in any of it may change a verdict."""


def revision(name: str) -> str:
    """A digest of a model's files, weights included; `name` is a folder, or a hub id that has been loaded.

    Of a folder with adapters, also of the model that they were trained on.
    """
    folder = Path(name)
    if not folder.is_dir():
        folder = Path(str(cached_file(name, "config.json", local_files_only=True))).parent
    whole = hashlib.sha256()
    for path in sorted(path for pattern in _READ for path in folder.glob(pattern)):
        with path.open("rb") as file:
            whole.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    if (folder / adapters.CONFIG).is_file():
        whole.update(revision(models.source(adapters.base(folder))).encode())
    return whole.hexdigest()[:32]
