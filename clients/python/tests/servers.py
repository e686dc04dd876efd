"""Servers on real sockets that stand in for the gateway, OpenAI and PostHog."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

ANSWER = '{"answer": 42}'
"""What every model says: a text, and JSON for those who asked for some."""


class Received(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


class Server:
    """Answers as `respond` says, and remembers what it was asked."""

    def __init__(self, respond: Callable[[Server, Exchange], None]) -> None:
        self.respond = respond
        self.received: list[Received] = []
        self.connections = 0
        self.release = threading.Event()
        """For answers that wait: they go on when the test sets this."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                server.connections += 1

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Received(self.command, self.path, headers, self.rfile.read(length))
                server.received.append(request)
                try:
                    server.respond(server, Exchange(self, request))
                except ConnectionError:
                    # A caller that leaves before the end of its answer is no failure here.
                    self.close_connection = True

            do_GET = do_POST  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Tests say what matters."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def models(self) -> list[str]:
        return [request.json["model"] for request in self.received]

    def stop(self) -> None:
        self.release.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class Exchange:
    """One request and the means to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler, request: Received) -> None:
        self._handler = handler
        self.request = request

    def send(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self._head(status, {"content-length": str(len(data)), **(headers or {})})
        self._handler.wfile.write(data)

    def start_stream(self, headers: dict[str, str] | None = None) -> None:
        self._head(
            200,
            {"transfer-encoding": "chunked", **(headers or {})},
            content_type="text/event-stream",
        )

    def chunk(self, data: str) -> None:
        self._handler.wfile.write(f"{len(data.encode()):x}\r\n{data}\r\n".encode())
        self._handler.wfile.flush()

    def end_stream(self) -> None:
        self._handler.wfile.write(b"0\r\n\r\n")

    def die(self) -> None:
        self._handler.wfile.flush()
        self._handler.connection.shutdown(socket.SHUT_RDWR)
        self._handler.close_connection = True

    def promise(self, length: int) -> None:
        """The head of an answer that will never be whole."""
        self._head(200, {"content-length": str(length)})
        self._handler.wfile.write(b'{"id": "')

    def _head(
        self, status: int, headers: dict[str, str], content_type: str = "application/json"
    ) -> None:
        self._handler.send_response(status)
        self._handler.send_header("content-type", content_type)
        for name, value in headers.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()


def answers(server: Server, exchange: Exchange) -> None:
    """Speaks OpenAI's Chat Completions, Responses and Models, and Anthropic's Messages."""
    events = _events(exchange.request)
    headers = _served_headers(exchange.request)
    if isinstance(events, list):
        exchange.start_stream(headers)
        for event in events:
            exchange.chunk(event)
        exchange.end_stream()
    else:
        exchange.send(200, events, headers)


def dies(server: Server, exchange: Exchange) -> None:
    """Begins to answer as it should, and is gone."""
    events = _events(exchange.request)
    if isinstance(events, list):
        exchange.start_stream(_served_headers(exchange.request))
        for event in events[: len(events) // 2]:
            exchange.chunk(event)
    else:
        exchange.promise(1000)
    exchange.die()


def drops(server: Server, exchange: Exchange) -> None:
    """Reads the request and closes the connection."""
    exchange.die()


def never_answers(server: Server, exchange: Exchange) -> None:
    """Reads the request, and keeps the caller waiting until the test is over."""
    server.release.wait(30)


def answers_with(
    status: int, headers: dict[str, str] | None = None
) -> Callable[[Server, Exchange], None]:
    """Fails with this status, and lets a client that would try again do so without delay."""

    def respond(server: Server, exchange: Exchange) -> None:
        error = {"message": f"status {status}", "type": "api_error", "code": "some_code"}
        exchange.send(status, {"error": error}, {"retry-after-ms": "1", **(headers or {})})

    return respond


def flag_is(value: bool | None) -> Callable[[Server, Exchange], None]:
    """PostHog, to which the flag has this value (None: there is no such flag)."""

    def respond(server: Server, exchange: Exchange) -> None:
        _post_hog(exchange, value)

    return respond


def flag_waits(server: Server, exchange: Exchange) -> None:
    """PostHog, which says "off", but only when the test lets it."""
    server.release.wait(30)
    _post_hog(exchange, False)


def _post_hog(exchange: Exchange, value: bool | None) -> None:
    name = "use-llm-gateway"
    path = urlsplit(exchange.request.path)
    if value is None:
        flags: dict[str, object] = {}
    elif "v=2" in path.query or "v=4" in path.query:
        detail = {
            "key": name,
            "enabled": value,
            "variant": None,
            "reason": {"code": "condition_match", "description": "", "condition_index": 0},
            "metadata": {"id": 1, "version": 1, "payload": None, "description": None},
        }
        flags = {name: detail}
    else:
        flags = {name: value}
    key = "featureFlags" if "v=3" in path.query else "flags"
    exchange.send(
        200,
        {
            key: flags,
            "featureFlags": {} if value is None else {name: value},
            "featureFlagPayloads": {},
            "errorsWhileComputingFlags": False,
            "requestId": "r",
        },
    )


def _served_headers(request: Received) -> dict[str, str]:
    # OpenAI sends no such header; the direct route's own must not depend on it.
    if request.method == "POST" and not request.path.startswith("/v1/"):
        return {"x-llm-gateway-model": request.json.get("model", "")}
    return {}


def _events(request: Received) -> list[str] | dict[str, Any]:
    """A whole answer, or a stream's events."""
    path = urlsplit(request.path).path
    if request.method == "GET" and path.endswith("/content"):
        return {"the file": "itself"}
    if path.endswith("/embeddings"):
        vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
        return {"object": "list", "data": [vector], "model": request.json["model"]}
    if path.endswith(("/files", "/batches", "/jobs", "/vector_stores")):
        return {"object": "list", "data": []}
    if request.method == "GET" and path.endswith("/models"):
        model = {"id": "some-model", "object": "model", "created": 1, "owned_by": "x"}
        return {"object": "list", "data": [model]}
    if request.method == "GET":
        return {"id": path.rpartition("/")[2], "object": "model", "created": 1, "owned_by": "x"}
    if path.endswith("/audio/transcriptions"):
        return {"text": f"{len(request.body)} bytes"}
    body = request.json
    if path.endswith("/chat/completions"):
        return _chat(body)
    if path.endswith("/responses"):
        return _responses(body)
    return _messages(body)


def _messages(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def _chat(body: dict[str, Any]) -> list[str] | dict[str, Any]:
    common = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
    if not body.get("stream"):
        message = {"role": "assistant", "content": ANSWER, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return {**common, "object": "chat.completion", "choices": [choice], "usage": usage}
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": piece}, None) for piece in _pieces()]
    deltas.append(({}, "stop"))
    events = [
        {
            **common,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}],
        }
        for delta, finish in deltas
    ]
    return [*(f"data: {json.dumps(event)}\n\n" for event in events), "data: [DONE]\n\n"]


def _responses(body: dict[str, Any]) -> list[str] | dict[str, Any]:
    part = {"type": "output_text", "text": ANSWER, "annotations": []}
    item = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    whole = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": body["model"],
        "status": "completed",
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    if not body.get("stream"):
        return whole
    place = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *(
            {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
            for piece in _pieces()
        ),
        {"type": "response.output_text.done", **place, "text": ANSWER, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"
        for number, event in enumerate(events)
    ]


def _pieces() -> list[str]:
    return [ANSWER[at : at + 3] for at in range(0, len(ANSWER), 3)]


@contextmanager
def refusing() -> Iterator[str]:
    """An address that refuses connections for as long as this lasts: bound, but not listening."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


@contextmanager
def hanging() -> Iterator[str]:
    """An address that accepts no connection and refuses none: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        queue = [socket.socket() for _ in range(4)]
        try:
            for waiting in queue:
                waiting.setblocking(False)
                waiting.connect_ex(address)
            yield f"http://127.0.0.1:{address[1]}"
        finally:
            for waiting in queue:
                waiting.close()
