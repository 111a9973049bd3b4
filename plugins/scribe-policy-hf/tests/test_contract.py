"""The policy keeps the contract, with full weights and with adapters, packed and one by one."""

from pathlib import Path

import pytest
from scribe_policy_hf.builder import HF, Lora
from scribe_policy_hf.testing import tiny_model

from scribe_core.testing import TrainablePolicyContract


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


class TestHF(TrainablePolicyContract):
    @pytest.fixture
    def builder(self, folder: Path) -> HF:
        return HF(model=str(folder), dtype="float32")


class TestUnpacked(TrainablePolicyContract):
    @pytest.fixture
    def builder(self, folder: Path) -> HF:
        return HF(model=str(folder), dtype="float32", packed=False)


class TestAdapters(TrainablePolicyContract):
    @pytest.fixture
    def builder(self, folder: Path) -> HF:
        pytest.importorskip("peft", reason="adapters need the extra `lora`")
        return HF(model=str(folder), dtype="float32", lora=Lora(rank=4, alpha=8))
