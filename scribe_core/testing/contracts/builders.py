"""What every builder keeps, whatever it builds."""

import os
import pickle
import re
import subprocess
import sys
from typing import Any, ClassVar

import attrs
import pytest

from scribe_core.builders import first_line
from scribe_core.registry import Registry
from scribe_core.structuring import structure_part, unstructure

HEAVY = ("torch", "transformers", "accelerate", "openai", "litellm", "numpy", "scipy", "sklearn")
"""What only `build()` may import, so that listing plugins stays fast."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_PROBE = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*{*sys.modules})"


class BuilderContract:
    """Subclass the contract of the part's kind, and give the builder as a method or a fixture named `builder`."""

    kind: ClassVar[str]
    """The hook without its prefix, such as "judges"."""

    def builder(self) -> Any:
        raise NotImplementedError("define `builder`: a method that returns the builder, or a pytest fixture")

    @pytest.fixture
    def given(self, request: pytest.FixtureRequest) -> Any:
        """The builder, however it was given."""
        try:
            return request.getfixturevalue("builder")
        except pytest.FixtureLookupError:
            return self.builder()

    def test_name_can_stand_in_a_config(self, given: Any) -> None:
        name = type(given).name
        assert isinstance(name, str), "name is a ClassVar[str]"
        assert _NAME.fullmatch(name), f"{name!r}: a-z, 0-9, '.', '_' and '-'"

    def test_docstring_begins_with_a_sentence(self, given: Any) -> None:
        line = first_line(type(given))
        assert line.endswith("."), f"{line!r} is what `scribe plugins` prints: one sentence, with a full stop"
        assert len(line) <= 120

    def test_is_a_frozen_attrs_class(self, given: Any) -> None:
        assert attrs.has(type(given)), "write @attrs.frozen above the class"
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            given.name = "another"

    def test_equal_builders_have_one_hash(self, given: Any) -> None:
        again = attrs.evolve(given)
        assert again == given
        assert hash(again) == hash(given)

    def test_survives_pickling(self, given: Any) -> None:
        assert pickle.loads(pickle.dumps(given)) == given  # noqa: S301

    def test_survives_the_config(self, given: Any) -> None:
        registry = Registry.installed()
        table = unstructure(given, registry, self.kind)
        assert structure_part(self.kind, table, "part", registry) == given

    def test_importing_it_is_light(self, given: Any) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", _PROBE, type(given).__module__]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603
        assert done.returncode == 0, done.stderr
        assert not {*HEAVY} & {*done.stdout.split()}, "import these inside build()"
