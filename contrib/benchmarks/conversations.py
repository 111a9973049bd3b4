"""The leaderboard's conversations of several turns: their rows, the docs of their tools, and their ground truth."""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scribe_env_bfcl.data import data_folder

from scribe_core.types import ToolCall, ToolSpec

CATEGORIES = ("multi_turn_base", "multi_turn_miss_param", "multi_turn_miss_func")
MODULES = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}
"""The module of each simulated API, and the name of the file with its docs."""

Row = dict[str, Any]


def conversations() -> Iterator[tuple[Row, Sequence[Sequence[str]]]]:
    """Each conversation, and the calls that each of its turns should make."""
    folder = data_folder()
    for category in CATEGORIES:
        name = f"BFCL_v4_{category}.json"
        truths = {row["id"]: row["ground_truth"] for row in _rows(folder / "possible_answer" / name)}
        yield from ((row, truths[row["id"]]) for row in _rows(folder / name))


def docs() -> dict[str, list[Row]]:
    """The docs of each API's tools."""
    folder = data_folder() / "multi_turn_func_doc"
    return {api: _rows(folder / f"{module}.json") for api, module in MODULES.items()}


def group_of(id_: str) -> str:
    """The categories share their conversations: a number names one conversation in all of them."""
    return f"multi_turn_{id_.rpartition('_')[2]}"


def parsed(text: str, tools: Mapping[str, ToolSpec]) -> ToolCall | None:
    """A call of the ground truth, which is written as Python; None for what is no plain call of a tool."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in tools:
            return None
        names = list(tools[node.func.id].parameters.get("properties", {}))
        given = dict(zip(names, map(ast.literal_eval, node.args), strict=False))
        given |= {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
    except (ValueError, SyntaxError):
        return None
    return ToolCall(name=node.func.id, arguments=given)


def _rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
