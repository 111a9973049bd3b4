r"""A chat-completions server on loopback, for tests and benchmarks of what asks models: as slow, limited or faulty as asked.

with ChatServer(latency=0.05, concurrency=64) as server:
    OpenAIJudge(model="any", base_url=server.url)

python -m scribe_core.testing.servers --latency 0.05      # prints its URL, serves until its input ends
"""

import argparse
import asyncio
import json
import random
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

KINDS = (
    *("timeout", "reset", "stall", "rate", "error", "garbage", "half"),
    *("refusal", "schema", "long", "type"),
)
"""Faults: no reply, a reset connection, a stall after the headers, 429, 500, no JSON, half of it, a refusal, JSON of
another schema, a reply without end, and a page instead of an API."""

RETRY_AFTER = 0.05
_LARGEST_REQUEST = 64 * 1024 * 1024

Scripted = Callable[[dict[str, Any]], str | dict[str, Any]]
"""From a request to what the model says, or to a whole message.

A message may say how it ended, as `finish_reason`; or be an error, `{"error": (status, text)}`, instead."""


@frozen(kw_only=True)
class Faults:
    """Which part of the requests fails, and how."""

    share: float = 0.2
    seed: int = 0
    kinds: tuple[str, ...] = KINDS


def agreeable(request: dict[str, Any]) -> str:
    """The first answer to every question of the schema, with a quote from the end of the material."""
    form = request.get("response_format", {}).get("json_schema", {}).get("schema", {})
    lines = [line[2:] for line in request["messages"][-1]["content"].split("\n") if line.startswith("| ")]
    quote = next((line for line in reversed(lines) if len(line.split()) > 1), "")
    reply = {}
    for id_, entry in form.get("properties", {}).items():
        said = {
            "reason": "it stands there",
            "quote": quote,
            "answer": entry["properties"]["answer"]["enum"][0],
        }
        reply[id_] = {key: said[key] for key in entry["properties"]}
    return json.dumps(reply)


def roomy(room: int) -> Scripted:
    """`agreeable` to prompts of at most `room` characters; the context has no room for longer ones."""

    def reply(request: dict[str, Any]) -> str | dict[str, Any]:
        if len(request["messages"][-1]["content"]) > room:
            return {"error": (400, "This model's maximum context length is 8192 tokens.")}
        return agreeable(request)

    return reply


@define(kw_only=True, eq=False)
class ChatServer:
    """Serves `POST .../chat/completions` from a thread of its own, and counts what it read and how it replied.

    `reply` is one text for all, or makes one of each request. `key` is the only key that it lets in.
    """

    reply: str | Scripted = agreeable
    latency: float = 0.0
    concurrency: int = 1_000_000
    together: int = 1
    """No request is answered before so many have been in flight at once."""
    faults: Faults | None = None
    key: str = ""
    structured: bool = True
    """Whether it understands `response_format`."""
    requests: int = field(default=0, init=False)
    served: "Counter[str]" = field(factory=Counter, init=False)
    """Requests by how they ended: "reply", or a fault."""
    most_in_flight: int = field(default=0, init=False)
    url: str = field(default="", init=False)
    last: dict[str, Any] = field(factory=dict, init=False)
    """The last request, where replies are scripted."""
    _in_flight: int = field(default=0, init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _thread: threading.Thread = field(init=False)
    _server: asyncio.Server = field(init=False)
    _slots: asyncio.Semaphore = field(init=False)
    _random: random.Random = field(init=False)
    _tasks: "set[asyncio.Task[None]]" = field(factory=set, init=False)

    def __enter__(self) -> "ChatServer":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chat-server", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def start(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)
        self._random = random.Random(self.faults.seed if self.faults else 0)  # noqa: S311
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def stop(self) -> None:
        self._server.close()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its reply; whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        length = min(int(headers.get("content-length", "0")), _LARGEST_REQUEST)
        body = await reader.readexactly(length)
        self.requests += 1
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            async with self._slots:
                if self.latency:
                    await asyncio.sleep(self.latency)
                while self.most_in_flight < self.together:
                    await asyncio.sleep(0.001)
                return await self._answer(headers, body, reader, writer)
        finally:
            self._in_flight -= 1

    async def _answer(
        self,
        headers: dict[str, str],
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        fault = ""
        if self.faults and self._random.random() < self.faults.share:
            fault = self._random.choice(self.faults.kinds)
        if self.key and headers.get("authorization") != f"bearer {self.key}".lower():
            fault = "key"
        if not fault and not self.structured and b'"response_format"' in body:
            fault = "unstructured"
        self.served[fault or "reply"] += 1
        if fault in ("timeout", "reset", "stall", "long"):
            await _break(fault, reader, writer)
            return False
        writer.write(_FAULTS[fault](headers) if fault in _FAULTS else self._said(fault, body))
        await writer.drain()
        return True

    def _said(self, fault: str, body: bytes) -> bytes:
        if fault == "refusal":
            return _completion({"content": None, "refusal": "I can't help with that."})
        if fault == "schema":
            return _completion({"content": '{"verdict": "splendid", "stars": 5}'})
        if isinstance(self.reply, str):
            return _completion({"content": self.reply})
        self.last = json.loads(body)
        said = self.reply(self.last)
        if isinstance(said, str):
            return _completion({"content": said})
        return _error(*said["error"]) if "error" in said else _completion(said)


async def _break(fault: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Replies that never come to an end."""
    if fault == "reset":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        return
    if fault in ("stall", "long"):
        writer.write(_head(200, "application/json", 1 << 40) + b'{"id": "x", "choices": [')
        await writer.drain()
    while not (writer.is_closing() or reader.at_eof()):
        if fault == "long":
            writer.write(b" " * 65536)
            await writer.drain()
        await asyncio.sleep(0 if fault == "long" else 0.05)


def _head(status: int, kind: str, length: int, extra: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{extra}\r\n".encode()


def _whole(status: int, body: bytes, kind: str = "application/json", extra: str = "") -> bytes:
    return _head(status, kind, len(body), extra) + body


def _error(status: int, message: str, extra: str = "") -> bytes:
    return _whole(status, json.dumps({"error": {"message": message}}).encode(), extra=extra)


def _completion(message: dict[str, Any]) -> bytes:
    prompt, completion = 100, 20
    usual = "tool_calls" if message.get("tool_calls") else "stop"
    ended = message.get("finish_reason", usual)
    said = {key: value for key, value in message.items() if key != "finish_reason"}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "served-model-1",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "message": {"role": "assistant", **said}, "finish_reason": ended}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }
    return _whole(200, json.dumps(body).encode())


_FAULTS: dict[str, Callable[[dict[str, str]], bytes]] = {
    "rate": lambda _: _error(429, "slow down", f"Retry-After: {RETRY_AFTER}\r\n"),
    "error": lambda _: _error(500, "out of order"),
    "garbage": lambda _: _whole(200, bytes(range(256)) * 4),
    "half": lambda _: _whole(200, _completion({"content": "x" * 40}).partition(b"\r\n\r\n")[2][:90]),
    "type": lambda _: _whole(200, b"<html><body>Welcome!</body></html>", "text/html"),
    # A server that repeats a key in its error is what keys must be kept from.
    "key": lambda headers: _error(401, f"wrong credentials: {headers.get('authorization')}"),
    "unstructured": lambda _: _error(400, "response_format is not supported"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--concurrency", type=int, default=1_000_000)
    parser.add_argument("--faults", type=float, default=0.0, help="the share of requests that fail")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reply", help="one text for all requests")
    given = parser.parse_args()
    server = ChatServer(
        reply=given.reply or agreeable,
        latency=given.latency,
        concurrency=given.concurrency,
        faults=Faults(share=given.faults, seed=given.seed) if given.faults else None,
    )
    with server:
        sys.stdout.write(server.url + "\n")
        sys.stdout.flush()
        for _ in sys.stdin:  # a line asks for the counts
            counts = {"requests": server.requests, "served": dict(server.served)}
            sys.stdout.write(json.dumps(counts | {"most_in_flight": server.most_in_flight}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
