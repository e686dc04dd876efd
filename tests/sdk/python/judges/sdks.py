"""Reads bytes with the SDK of their dialect, off a socket, and holds every piece of them to the SDK's types.

`whole` and `stream` give what the SDK makes of it, and raise what it raises. `hold` demands the dialect's order of events,
`hold_strictly` their types too: the SDKs take almost anything without complaint, their types do not. What a vendor sent
months ago lacks some of today's fields, so that only what is our own writing is held to the types.
"""

import json
import typing

import anthropic
import openai
from anthropic.types import Message, RawMessageStreamEvent
from google import genai
from google.genai import types
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from . import said

ASK = [{"role": "user", "content": "Go."}]


def members(union):
    """The classes of a union by the word in their `type`, so that an error is about the one that was meant."""
    found = {}
    for member in typing.get_args(typing.get_args(union)[0] if typing.get_origin(union) is typing.Annotated else union):
        for word in typing.get_args(member.model_fields["type"].annotation):
            found[word] = member
    return found


def events(body):
    """The names and the data of server-sent events."""
    for block in body.decode().split("\n\n"):
        lines = block.splitlines()
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
        if data:
            yield (names or [None])[0], "\n".join(data)


class Anthropic:
    """The beta namespace knows all blocks of the plain one, and those of the betas that recordings hold."""

    name = "anthropic"
    errors = (anthropic.APIError,)
    answer = TypeAdapter(Message)
    event = members(RawMessageStreamEvent)

    def __init__(self, replay):
        self.replay = replay
        self.client = anthropic.Anthropic(api_key="key", base_url="http://127.0.0.1", max_retries=0)
        self.ask = {"model": "model", "max_tokens": 100, "messages": ASK}

    def whole(self, body, status=200):
        with self.replay.at(body, status) as url:
            return self.client.with_options(base_url=url).beta.messages.create(**self.ask)

    def stream(self, body):
        with self.replay.at(body) as url:
            with self.client.with_options(base_url=url).beta.messages.stream(**self.ask) as stream:
                return stream.get_final_message()

    said = staticmethod(said.of_anthropic)

    @staticmethod
    def frame(lines):
        return b"".join(f"event: {json.loads(line)['type']}\ndata: {line}\n\n".encode() for line in lines)

    def hold_strictly(self, body):
        for name, data in events(body):
            if name not in ("ping", "error"):
                self.event[name].model_validate_json(data)
        self.hold(body)

    def hold(self, body):
        """Blocks are opened and closed one after the other, numbered as they come, between the message's two ends."""
        kinds, blocks, is_open = [], 0, False
        for name, data in events(body):
            event = json.loads(data)
            assert name == event["type"], name
            kinds.append(name)
            if name in ("ping", "error"):
                continue
            if name == "content_block_start":
                assert not is_open and event["index"] == blocks, event
                is_open, blocks = True, blocks + 1
            elif name == "content_block_delta":
                assert is_open and event["index"] == blocks - 1, event
            elif name == "content_block_stop":
                assert is_open and event["index"] == blocks - 1, event
                is_open = False
        told = [kind for kind in kinds if not kind.startswith("content_block") and kind != "ping"]
        if "error" in kinds:
            assert kinds[-1] == "error" and "message_stop" not in kinds
        else:
            assert told == ["message_start", "message_delta", "message_stop"] and not is_open, told
            assert kinds[0] == "message_start" and kinds[-1] == "message_stop"


class Chat:
    name = "openai_chat"
    errors = (openai.APIError,)
    answer = TypeAdapter(ChatCompletion)
    event = TypeAdapter(ChatCompletionChunk)

    def __init__(self, replay):
        self.replay = replay
        self.client = openai.OpenAI(api_key="key", base_url="http://127.0.0.1", max_retries=0)
        self.ask = {"model": "model", "messages": ASK}

    def whole(self, body, status=200):
        with self.replay.at(body, status) as url:
            return self.client.with_options(base_url=url).chat.completions.create(**self.ask)

    def stream(self, body):
        """By the accumulator alone: the stream helper goes on to parse the answer, which it refuses to do with one that was
        filtered."""
        state = ChatCompletionStreamState()
        with self.replay.at(body) as url:
            for chunk in self.client.with_options(base_url=url).chat.completions.create(stream=True, **self.ask):
                state.handle_chunk(chunk)
        return state.current_completion_snapshot

    said = staticmethod(said.of_chat)

    @staticmethod
    def frame(lines):
        return b"".join(f"data: {line}\n\n".encode() for line in [*lines, "[DONE]"])

    def hold_strictly(self, body):
        for _, data in events(body):
            if data == "[DONE]" or data.startswith('{"error"'):
                continue
            chunk = json.loads(data)
            for choice in chunk["choices"]:
                calls = choice["delta"].get("tool_calls", [])
                # OpenAI streams calls of custom tools, and its SDK's types do not know it.
                choice["delta"]["tool_calls"] = [call for call in calls if "custom" not in call]
            self.event.validate_python(chunk)
        self.hold(body)

    def hold(self, body):
        """Roles first, the usage in a chunk of its own without choices, and then the end."""
        data = [data for _, data in events(body)]
        chunks = [json.loads(text) for text in data if text != "[DONE]"]
        if "error" in chunks[-1]:
            assert "[DONE]" not in data
            chunks.pop()
        else:
            assert data[-1] == "[DONE]" and data.count("[DONE]") == 1
            assert chunks[-1]["choices"] == [] and chunks[-1]["usage"], chunks[-1]
        begun, finished = set(), set()
        for chunk in chunks:
            for choice in chunk["choices"]:
                number = choice["index"]
                assert ("role" in choice["delta"]) == (number not in begun), choice
                assert number not in finished, choice
                begun.add(number)
                if choice["finish_reason"]:
                    finished.add(number)
        if "[DONE]" in data:
            assert finished == begun


class Responses:
    name = "openai_responses"
    errors = (openai.APIError,)
    answer = TypeAdapter(Response)
    event = members(ResponseStreamEvent)

    def __init__(self, replay):
        self.replay = replay
        self.client = openai.OpenAI(api_key="key", base_url="http://127.0.0.1", max_retries=0)
        self.ask = {"model": "model", "input": "Go."}

    def whole(self, body, status=200):
        with self.replay.at(body, status) as url:
            return self.client.with_options(base_url=url).responses.create(**self.ask)

    def stream(self, body):
        with self.replay.at(body) as url:
            with self.client.with_options(base_url=url).responses.stream(**self.ask) as stream:
                last = None
                for event in stream:
                    last = event
                return last.response

    said = staticmethod(said.of_responses)

    @staticmethod
    def frame(lines):
        return b"".join(f"event: {json.loads(line)['type']}\ndata: {line}\n\n".encode() for line in lines)

    def hold_strictly(self, body):
        for name, data in events(body):
            event = json.loads(data)
            if name == "response.failed":
                # The types list few codes; OpenAI itself sends others, `insufficient_quota` among them.
                assert event["response"]["error"].pop("code")
                event["response"]["error"]["code"] = "server_error"
            self.event[name].model_validate(event)
        self.hold(body)

    def hold(self, body):
        """Numbered without a gap; items and parts are added and done in their order; the last event has them all."""
        done, part = [], None
        told = [(name, json.loads(data)) for name, data in events(body)]
        for number, (name, event) in enumerate(told):
            assert name == event["type"] and event["sequence_number"] == number, event
            if name == "response.output_item.added":
                assert event["output_index"] == len(done), event
            elif name == "response.output_item.done":
                assert event["output_index"] == len(done) and part is None, event
                done.append(event["item"])
            elif name == "response.content_part.added":
                assert part is None, event
                part = event["content_index"]
            elif name == "response.content_part.done":
                assert part == event["content_index"], event
                part = None
            elif "output_index" in event:
                assert event["output_index"] == len(done), event
        kinds = [name for name, _ in told]
        last, event = told[-1]
        if "error" in kinds:
            assert kinds[-2:] == ["error", "response.failed"]
        else:
            assert kinds[:2] == ["response.created", "response.in_progress"]
            assert last in ("response.completed", "response.incomplete")
            assert event["response"]["output"] == done


class Gemini:
    name = "gemini"
    errors = (genai.errors.APIError,)
    answer = TypeAdapter(types.GenerateContentResponse)

    def __init__(self, replay):
        self.replay = replay
        self.client = genai.Client(api_key="key", http_options=types.HttpOptions(base_url="http://127.0.0.1"))

    def asked(self, url):
        config = types.GenerateContentConfig(http_options=types.HttpOptions(base_url=url))
        return {"model": "model", "contents": "Go.", "config": config}

    def whole(self, body, status=200):
        with self.replay.at(body, status) as url:
            return [self.client.models.generate_content(**self.asked(url))]

    def stream(self, body):
        with self.replay.at(body) as url:
            return list(self.client.models.generate_content_stream(**self.asked(url)))

    said = staticmethod(said.of_gemini)

    @staticmethod
    def frame(lines):
        return b"".join(f"data: {line}\r\n\r\n".encode() for line in lines)

    def hold_strictly(self, body):
        for _, data in events(body):
            if not data.startswith('{"error"'):
                self.answer.validate_json(data)
        self.hold(body)

    def hold(self, body):
        """Only the last chunk says why it ended."""
        chunks = [json.loads(data) for _, data in events(body)]
        is_error = "error" in chunks[-1]
        finished = ["finishReason" in chunk["candidates"][0] for chunk in chunks if chunk.get("candidates")]
        if is_error:
            assert not any(finished)
        else:
            assert finished and finished[-1] and not any(finished[:-1])


ALL = {judge.name: judge for judge in (Chat, Responses, Anthropic, Gemini)}
