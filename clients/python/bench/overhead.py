"""What a call through `get_llm_client` costs over the same call with the plain SDK.

    python bench/overhead.py [--calls 1000] [--answer-after-ms 10]

Both clients call one server, in a process of its own, on the same kept-alive connection, and send
the same headers. (On a connection each, the server's two threads may land on different cores, and
that makes more of a difference than what is measured.) Calls are interleaved, in an order that
alternates, so that both see the same machine; what counts is the median of the differences within
a pair, as a share of the plain call's median. Exits with 1 when that share is above --limit
percent. With --control both sides are the plain SDK: what is reported then is the measurement's
own error.

The server answers after 10 ms, which no model does; with --answer-after-ms 0 what is left is the
SDK's own work, and the microseconds that are added are seen best.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any

import openai

from llm_gateway_client import get_async_llm_client, get_llm_client

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5-mini","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)
HEADERS = {"x-posthog-property-team_id": "1", "x-posthog-team-id": "1"}
"""What a caller of the plain SDK would have to send to have the same done."""
ARGUMENTS: Any = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}


Pairs = list[tuple[float, float]]
"""Seconds: the plain call, and the one beside it."""


def serve(address: Connection, answer_after: float) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 4096
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if answer_after:
                time.sleep(answer_after)
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(ANSWER)))
            self.send_header("x-llm-gateway-model", "gpt-5-mini")
            self.end_headers()
            self.wfile.write(ANSWER)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """One line a call would be most of the work."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address.send(f"http://127.0.0.1:{server.server_address[1]}")
    address.recv()


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


async def atimed(call: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await call()
    return time.perf_counter() - start


def measure_sync(url: str, calls: int, control: bool) -> Pairs:
    ours = openai.OpenAI(**bound(url)) if control else get_llm_client(team_id=1)
    plain = openai.OpenAI(**bound(url), http_client=behind(ours._client))
    create, our_create = plain.chat.completions.create, ours.chat.completions.create
    pairs: Pairs = []
    with plain, ours:
        for number in range(calls):
            if number % 2:
                first = timed(lambda: create(**ARGUMENTS))
                pairs.append((first, timed(lambda: our_create(**ARGUMENTS))))
            else:
                first = timed(lambda: our_create(**ARGUMENTS))
                pairs.append((timed(lambda: create(**ARGUMENTS)), first))
    return pairs


async def measure_async(url: str, calls: int, control: bool) -> Pairs:
    ours = openai.AsyncOpenAI(**bound(url)) if control else get_async_llm_client(team_id=1)
    plain = openai.AsyncOpenAI(**bound(url), http_client=behind(ours._client))
    create, our_create = plain.chat.completions.create, ours.chat.completions.create
    pairs: Pairs = []
    async with plain, ours:
        for number in range(calls):
            if number % 2:
                first = await atimed(lambda: create(**ARGUMENTS))
                pairs.append((first, await atimed(lambda: our_create(**ARGUMENTS))))
            else:
                first = await atimed(lambda: our_create(**ARGUMENTS))
                pairs.append((await atimed(lambda: create(**ARGUMENTS)), first))
    return pairs


def behind(client: Any) -> Any:
    """The real HTTP client, which has the connection."""
    return getattr(client, "_inner", client)


def bound(url: str) -> dict[str, Any]:
    return {"api_key": "phx_x", "base_url": f"{url}/django/v1", "default_headers": HEADERS}


def report(name: str, rounds: list[Pairs], limit: float) -> bool:
    # Within a round the first fifth warms up. Where client and server run shifts a round as a
    # whole; hence rounds, and medians.
    measured = [pairs[len(pairs) // 5 :] for pairs in rounds]
    plain = statistics.median(first for pairs in measured for first, _ in pairs)
    added = [statistics.median(second - first for first, second in pairs) for pairs in measured]
    middle = statistics.median(added)
    share = 100 * middle / plain
    print(
        f"{name}: {sum(map(len, measured))} pairs in {len(measured)} rounds,"
        f" plain {plain * 1e6:.0f} us, added {middle * 1e6:+.1f} us"
        f" ({min(added) * 1e6:+.0f} to {max(added) * 1e6:+.0f}),"
        f" ratio {1 + middle / plain:.4f} = {share:+.2f} %"
    )
    return share <= limit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10, help="rounds that share the calls")
    parser.add_argument("--calls", type=int, default=1000, help="pairs of calls of each kind")
    parser.add_argument(
        "--answer-after-ms", type=float, default=10, help="how long the model thinks"
    )
    parser.add_argument("--limit", type=float, default=1.0, help="percent that may be added")
    parser.add_argument("--control", action="store_true", help="the plain SDK on both sides")
    arguments = parser.parse_args()

    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=serve, args=(there, arguments.answer_after_ms / 1000))
    server.start()
    try:
        url = here.recv()
        os.environ.update(LLM_GATEWAY_URL=url, LLM_GATEWAY_API_KEY="phx_x", OPENAI_API_KEY="sk-x")
        gc.disable()
        each = (url, arguments.calls // arguments.rounds, arguments.control)
        rounds = range(arguments.rounds)
        within = [
            report("sync ", [measure_sync(*each) for _ in rounds], arguments.limit),
            report("async", [asyncio.run(measure_async(*each)) for _ in rounds], arguments.limit),
        ]
    finally:
        here.send("done")
        server.join()
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
