"""Python objects that a config names as "module:attribute"."""

import os
import sys
import traceback
from importlib import import_module
from typing import Any

from scribe_core.errors import ConfigError, suggest


def resolve(ref: str, key: str) -> Any:
    """The object that "module:attribute" names; modules in the current folder can be imported.

    `key` is the option that holds the reference. Raises ConfigError for whatever the import raises.
    """
    module_name, colon, path = ref.partition(":")
    if not (module_name and colon and path):
        raise ConfigError(f'{key}: {ref!r} is not a reference; write "module:attribute"')
    value = _imported(module_name, key)
    for name in path.split("."):
        value = _attribute(value, name, f"{key}: {module_name!r}")
    return value


def _attribute(value: Any, name: str, where: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        raise ConfigError(f"{where} has no {name!r}{suggest(name, _public(value))}") from None
    except Exception as error:
        raise ConfigError(f"{where}: reading {name!r} failed: {_last_line(error)}") from error


def _imported(module_name: str, key: str) -> Any:
    # At the end, so that a local random.py never hides the standard library's.
    if (folder := os.getcwd()) not in sys.path:  # noqa: PTH109
        sys.path.append(folder)
    try:
        return import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ConfigError(
            f"{key}: the module {module_name!r} cannot be imported ({_last_line(error)}); "
            "put it in the current folder or install it"
        ) from error


def _public(value: Any) -> list[str]:
    return [name for name in vars(value) if not name.startswith("_")] if hasattr(value, "__dict__") else []


def _last_line(error: BaseException) -> str:
    return " ".join(traceback.format_exception_only(error)[-1].split())[:300]
