"""The ways of calling a model, each written once for threads and once for tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from pydantic import BaseModel

CLAUDE, STAND_IN = "claude-sonnet-4-5", "gpt-5-mini"
MESSAGES: Any = [{"role": "user", "content": "What is the answer? “Naïve” guesses are fine."}]


class Answer(BaseModel):
    answer: int


class Outcome(NamedTuple):
    """What the caller saw."""

    text: str
    """As much as arrived."""
    error: str | None
    """The name of the exception's class."""


class Shape(NamedTuple):
    """One way of calling: `sync` and `asynchronous` add to the list what arrives, as it arrives."""

    name: str
    sync: Callable[[Any, list[str]], None]
    asynchronous: Callable[[Any, list[str]], Awaitable[None]]

    def call(self, client: Any) -> Outcome:
        seen: list[str] = []
        try:
            self.sync(client, seen)
        except Exception as error:  # noqa: BLE001 - the test asserts which
            return Outcome("".join(seen), type(error).__name__)
        return Outcome("".join(seen), None)

    async def acall(self, client: Any) -> Outcome:
        seen: list[str] = []
        try:
            await self.asynchronous(client, seen)
        except Exception as error:  # noqa: BLE001 - the test asserts which
            return Outcome("".join(seen), type(error).__name__)
        return Outcome("".join(seen), None)


def parsing(client: Any) -> Any:
    """Where this version of the SDK has `parse` and `stream`."""
    completions = client.chat.completions
    return completions if hasattr(completions, "parse") else client.beta.chat.completions


def chat(client: Any, seen: list[str]) -> None:
    answer = client.chat.completions.create(model=CLAUDE, messages=MESSAGES, user="u1")
    seen.append(answer.choices[0].message.content)


async def achat(client: Any, seen: list[str]) -> None:
    answer = await client.chat.completions.create(model=CLAUDE, messages=MESSAGES, user="u1")
    seen.append(answer.choices[0].message.content)


def chat_stream(client: Any, seen: list[str]) -> None:
    for chunk in client.chat.completions.create(model=CLAUDE, messages=MESSAGES, stream=True):
        seen.append(chunk.choices[0].delta.content or "")


async def achat_stream(client: Any, seen: list[str]) -> None:
    stream = await client.chat.completions.create(model=CLAUDE, messages=MESSAGES, stream=True)
    async for chunk in stream:
        seen.append(chunk.choices[0].delta.content or "")


def parse(client: Any, seen: list[str]) -> None:
    answer = parsing(client).parse(model=CLAUDE, messages=MESSAGES, response_format=Answer)
    assert answer.choices[0].message.parsed == Answer(answer=42)
    seen.append(answer.choices[0].message.content)


async def aparse(client: Any, seen: list[str]) -> None:
    answer = await parsing(client).parse(model=CLAUDE, messages=MESSAGES, response_format=Answer)
    assert answer.choices[0].message.parsed == Answer(answer=42)
    seen.append(answer.choices[0].message.content)


def parse_stream(client: Any, seen: list[str]) -> None:
    opened = parsing(client).stream(model=CLAUDE, messages=MESSAGES, response_format=Answer)
    with opened as stream:
        for event in stream:
            if event.type == "content.delta":
                seen.append(event.delta)
        assert stream.get_final_completion().choices[0].message.parsed == Answer(answer=42)


async def aparse_stream(client: Any, seen: list[str]) -> None:
    opened = parsing(client).stream(model=CLAUDE, messages=MESSAGES, response_format=Answer)
    async with opened as stream:
        async for event in stream:
            if event.type == "content.delta":
                seen.append(event.delta)
        final = await stream.get_final_completion()
        assert final.choices[0].message.parsed == Answer(answer=42)


def responses(client: Any, seen: list[str]) -> None:
    seen.append(client.responses.create(model=CLAUDE, input="What is the answer?").output_text)


async def aresponses(client: Any, seen: list[str]) -> None:
    answer = await client.responses.create(model=CLAUDE, input="What is the answer?")
    seen.append(answer.output_text)


def responses_stream(client: Any, seen: list[str]) -> None:
    for event in client.responses.create(model=CLAUDE, input="What is the answer?", stream=True):
        if event.type == "response.output_text.delta":
            seen.append(event.delta)


async def aresponses_stream(client: Any, seen: list[str]) -> None:
    stream = await client.responses.create(model=CLAUDE, input="What is the answer?", stream=True)
    async for event in stream:
        if event.type == "response.output_text.delta":
            seen.append(event.delta)


def responses_parse(client: Any, seen: list[str]) -> None:
    answer = client.responses.parse(model=CLAUDE, input="What?", text_format=Answer)
    assert answer.output_parsed == Answer(answer=42)
    seen.append(answer.output_text)


async def aresponses_parse(client: Any, seen: list[str]) -> None:
    answer = await client.responses.parse(model=CLAUDE, input="What?", text_format=Answer)
    assert answer.output_parsed == Answer(answer=42)
    seen.append(answer.output_text)


def responses_parse_stream(client: Any, seen: list[str]) -> None:
    opened = client.responses.stream(model=CLAUDE, input="What?", text_format=Answer)
    with opened as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                seen.append(event.delta)
        assert stream.get_final_response().output_parsed == Answer(answer=42)


async def aresponses_parse_stream(client: Any, seen: list[str]) -> None:
    opened = client.responses.stream(model=CLAUDE, input="What?", text_format=Answer)
    async with opened as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                seen.append(event.delta)
        assert (await stream.get_final_response()).output_parsed == Answer(answer=42)


SHAPES = (
    Shape("chat", chat, achat),
    Shape("chat-stream", chat_stream, achat_stream),
    Shape("parse", parse, aparse),
    Shape("parse-stream", parse_stream, aparse_stream),
    Shape("responses", responses, aresponses),
    Shape("responses-stream", responses_stream, aresponses_stream),
    Shape("responses-parse", responses_parse, aresponses_parse),
    Shape("responses-parse-stream", responses_parse_stream, aresponses_parse_stream),
)


def run(work: Awaitable[Any]) -> Any:
    """Runs asynchronous work to its end in a loop of its own."""

    async def wait() -> Any:
        return await work

    return asyncio.run(wait())
