"""Low-rank adapters: put on a model, read from a checkpoint, and merged where a checkpoint is the next run's model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from scribe_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from scribe_policy_hf.builder import Lora

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def wrap(module: Any, options: "Lora") -> Any:
    """The module with new adapters, which change nothing yet."""
    peft = _peft("policy.lora")
    config = peft.LoraConfig(
        r=options.rank, lora_alpha=options.alpha, target_modules=options.targets, task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return peft.get_peft_model(module, config)


def read(module: Any, folder: Path) -> None:
    """Gives a module's adapters the weights of a checkpoint. Raises DataError where they do not fit."""
    peft = _peft("policy.lora")
    path = folder / WEIGHTS
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not readable adapter weights ({error})") from error
    expected = peft.get_peft_model_state_dict(module, save_embedding_layers=False)
    shapes = ({name: tuple(w.shape) for name, w in tensors.items()} for tensors in (found, expected))
    if odd := sorted(name for name, _ in set.symmetric_difference(*(set(each.items()) for each in shapes))):
        raise DataError(f"{path}: adapters of another model or rank; the first that differs: {odd[0]}")
    peft.set_peft_model_state_dict(module, found)


def base(folder: Path) -> str:
    """The model that the adapters of a folder were trained on. Raises ConfigError where it is not said."""
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"policy.model: {folder / CONFIG}: cannot be read ({error})") from error
    match config:
        case {"peft_type": "LORA", "base_model_name_or_path": str(name)} if name:
            return name
    raise ConfigError(
        f"policy.model: {folder / CONFIG}: not a LoRA adapter that names its base model; merge it into a model "
        "and give that model's folder"
    )


def merge(module: Any, folder: Path) -> Any:
    """The base model `module` with the adapters of a folder added to its weights."""
    peft = _peft("policy.model")
    try:
        wrapped = peft.get_peft_model(module, peft.PeftConfig.from_pretrained(str(folder)))
        read(wrapped, folder)
        merged = wrapped.merge_and_unload()
    except Exception as error:  # whatever a damaged or foreign adapter makes peft raise
        first = str(error).strip().partition("\n")[0]
        raise ConfigError(f"policy.model: the adapters in {folder} cannot be used ({first})") from error
    merged.name_or_path = str(folder)
    return merged


def _peft(key: str) -> Any:
    try:
        import peft
    except ImportError:
        raise ConfigError(f"{key}: adapters need peft; run `pip install 'scribe-policy-hf[lora]'`") from None
    return peft
