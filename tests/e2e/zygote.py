"""Runs `scribe` in processes of their own, without waiting seconds for torch to load in each of them.

Reads orders from stdin, a JSON object a line, and answers each with an exit code. An order says `arguments`, `cwd`,
and where `stdout` and `stderr` go; `kill` is a function and after which of its calls the process kills itself;
`episodes` is a file that gets a line for each episode that the policy begins. `processes` are as many processes of one
run, as a launcher would start them, with the variables `launcher` in their environment; the last of them is killed, and
each but the first writes to files of its own.
"""

import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from scribe_core.cli.main import main

SLOW = (
    *("scribe_policy_hf.policy", "scribe_grpo.grpo", "transformers.models.llama.modeling_llama"),
    *("transformers.models.auto.tokenization_auto", "transformers.models.auto.modeling_auto"),
    *("scribe_core.training", "scribe_core.evaluation", "scribe_core.cli.train", "scribe_core.cli.validate"),
)
"""What takes the time; only modules, so that each process finds its own plugins."""


def serve() -> None:
    for module in SLOW:
        import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        children = [started(order | each) for each in launched(order)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(f"{json.dumps(codes)}\n")
        sys.stdout.flush()


def launched(order: dict[str, Any]) -> list[dict[str, Any]]:
    """What is another in each process."""
    count, killed = order["processes"], order["kill"]
    if count == 1:
        return [{"environment": order["launcher"]}]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    shared = order["launcher"] | {
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    return [
        {
            "environment": shared | {"RANK": str(index), "LOCAL_RANK": str(index)},
            "kill": killed if index == count - 1 else None,
            **{name: order[name] + (f"-{index}" if index else "") for name in ("stdout", "stderr")},
        }
        for index in range(count)
    ]


def started(order: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        os.environ.update(order["environment"])
        os._exit(obey(order))
    return child


def obey(order: dict[str, Any]) -> int:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(order["cwd"])
    sys.path.insert(0, order["cwd"])
    try:
        if order["kill"]:
            after_each(order["kill"][0], dies_after(order["kill"][1]))
        if order["episodes"]:
            after_each("scribe_policy_hf.policy:HFPolicy.generate", notes_beginnings(order["episodes"]))
        return main(order["arguments"])
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def after_each(target: str, then: Callable[..., None]) -> None:
    """Calls `then` after each call of "module:function" or "module:Class.method", with its arguments."""
    module, _, path = target.partition(":")
    owner: Any = import_module(module)
    *outer, name = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    original = getattr(owner, name)

    def watched(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        then(*arguments, **options)
        return result

    setattr(owner, name, watched)


def dies_after(times: int) -> Callable[..., None]:
    calls = count(1)

    def then(*_: Any, **__: Any) -> None:
        if next(calls) == times:
            os.kill(os.getpid(), signal.SIGKILL)

    return then


def notes_beginnings(file: str) -> Callable[..., None]:
    def then(_: Any, conversations: Any, *__: Any) -> None:
        begun = [each for each in conversations if each.messages[-1].role == "user"]
        with Path(file).open("a") as stream:
            stream.writelines(f"{each.messages[-1].content}\n" for each in begun)

    return then


if __name__ == "__main__":
    serve()
