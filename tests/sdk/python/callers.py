"""The official SDKs as four callers that do the same things: what each says, and what its typed objects hold of the answer."""

import json
from dataclasses import dataclass, field
from typing import Literal

import anthropic
import openai
from google.genai import errors, types
from pydantic import BaseModel

from conftest import anthropic_client, google_client, openai_client


class Day(BaseModel):
    day: str
    celsius: int


class Forecast(BaseModel):
    """The form that the JSON schema scenarios ask for."""

    city: str
    sky: Literal["clear", "cloudy"]
    days: list[Day]


@dataclass
class Call:
    # Gemini's own may have none.
    id: str | None
    name: str
    arguments: dict


@dataclass
class Usage:
    """In each dialect's own terms, added up so that input includes what was cached, and output what was thought."""

    input: int
    output: int
    cached: int = 0
    thought: int = 0


@dataclass
class Heard:
    """What an answer's typed objects say."""

    id: str
    text: str
    finish: str
    usage: Usage
    calls: list[Call] = field(default_factory=list)
    thoughts: str = ""
    value: BaseModel | None = None
    pieces: int = 0


@dataclass
class Task:
    """What a conversation is held with."""

    model: str
    streamed: bool = False
    system: str | None = None
    tools: list[dict] = field(default_factory=list)
    form: type[BaseModel] | None = None
    thinking: bool = False
    most: int = 8192


def is_image(attachment):
    return attachment["media"].startswith("image/")


def data_url(attachment):
    return f"data:{attachment['media']};base64,{attachment['data']}"


class Chat:
    """`openai`: chat completions."""

    name = "openai-chat"
    Error = openai.APIError
    errors = {
        400: openai.BadRequestError,
        404: openai.NotFoundError,
        429: openai.RateLimitError,
        500: openai.InternalServerError,
    }
    finishes = {"stop": "stop", "tool_calls": "calls", "length": "length", "content_filter": "filter"}
    shows_thoughts_of = ("anthropic", "gemini")

    def __init__(self, task):
        self.task = task
        self.client = openai_client()
        self.messages = [{"role": "system", "content": task.system}] if task.system else []

    def say(self, text, attachment=None):
        content = [{"type": "text", "text": text}]
        if attachment:
            url = data_url(attachment)
            if is_image(attachment):
                content.append({"type": "image_url", "image_url": {"url": url}})
            else:
                content.append({"type": "file", "file": {"filename": attachment["name"], "file_data": url}})
        self.messages.append({"role": "user", "content": content if attachment else text})
        return self.ask()

    def answer(self, results):
        self.messages += [{"role": "tool", "tool_call_id": id, "content": text} for id, _, text in results]
        return self.ask()

    def ask(self):
        task = self.task
        options = {"model": task.model, "messages": self.messages, "max_completion_tokens": task.most}
        if task.tools:
            options["tools"] = [{"type": "function", "function": tool} for tool in task.tools]
        if task.thinking:
            options["reasoning_effort"] = "medium"
        if task.form:
            options["response_format"] = task.form
        pieces = 0
        completions = self.client.chat.completions
        if task.streamed:
            with completions.stream(**options, stream_options={"include_usage": True}) as stream:
                pieces = sum(event.type == "content.delta" for event in stream)
                completion = stream.get_final_completion()
        else:
            completion = (completions.parse if task.form else completions.create)(**options)
        choice = completion.choices[0]
        # What the parsing helpers add is no part of a request.
        extra = {"parsed": True, "tool_calls": {"__all__": {"index": True, "function": {"parsed_arguments"}}}}
        self.messages.append(choice.message.model_dump(exclude_unset=True, exclude=extra))
        calls = [Call(call.id, call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []]
        usage = completion.usage
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        return Heard(
            id=completion.id,
            text=choice.message.content or "",
            finish=self.finishes[choice.finish_reason],
            usage=Usage(
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.prompt_tokens_details.cached_tokens or 0,
                usage.completion_tokens_details.reasoning_tokens or 0,
            ),
            calls=calls,
            thoughts=getattr(choice.message, "reasoning_content", None) or "",
            value=choice.message.parsed if task.form else None,
            pieces=pieces,
        )


class Responses:
    """`openai`: Responses."""

    name = "openai-responses"
    Error = openai.APIError
    errors = Chat.errors
    shows_thoughts_of = ("openai", "anthropic", "gemini")

    def __init__(self, task):
        self.task = task
        self.client = openai_client()
        self.input = []

    def say(self, text, attachment=None):
        content = [{"type": "input_text", "text": text}]
        if attachment:
            url = data_url(attachment)
            if is_image(attachment):
                content.append({"type": "input_image", "image_url": url, "detail": "auto"})
            else:
                content.append({"type": "input_file", "filename": attachment["name"], "file_data": url})
        self.input.append({"role": "user", "content": content})
        return self.ask()

    def answer(self, results):
        self.input += [{"type": "function_call_output", "call_id": id, "output": text} for id, _, text in results]
        return self.ask()

    def ask(self):
        task = self.task
        options = {"model": task.model, "input": self.input, "store": False, "max_output_tokens": task.most}
        if task.system:
            options["instructions"] = task.system
        if task.tools:
            options["tools"] = [{"type": "function", "strict": False, **tool} for tool in task.tools]
        if task.thinking:
            options["reasoning"] = {"effort": "medium", "summary": "auto"}
            options["include"] = ["reasoning.encrypted_content"]
        if task.form:
            options["text_format"] = task.form
        pieces = 0
        if task.streamed:
            with self.client.responses.stream(**options) as stream:
                pieces = sum(event.type == "response.output_text.delta" for event in stream)
                response = stream.get_final_response()
        else:
            responses = self.client.responses
            response = (responses.parse if task.form else responses.create)(**options)
        self.input += response.output
        calls = [Call(item.call_id, item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"]
        thoughts = [part.text for item in response.output if item.type == "reasoning" for part in item.summary]
        usage = response.usage
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens
        assert usage.input_tokens_details.cache_write_tokens == 0
        return Heard(
            id=response.id,
            text=response.output_text,
            finish=self.finish(response, calls),
            usage=Usage(
                usage.input_tokens,
                usage.output_tokens,
                usage.input_tokens_details.cached_tokens,
                usage.output_tokens_details.reasoning_tokens,
            ),
            calls=calls,
            thoughts="".join(thoughts),
            value=response.output_parsed if task.form else None,
            pieces=pieces,
        )

    @staticmethod
    def finish(response, calls):
        if response.status == "completed":
            assert response.incomplete_details is None
            return "calls" if calls else "stop"
        assert response.status == "incomplete"
        return {"max_output_tokens": "length", "content_filter": "filter"}[response.incomplete_details.reason]


class Messages:
    """`anthropic`: Messages."""

    name = "anthropic"
    Error = anthropic.APIError
    errors = {
        400: anthropic.BadRequestError,
        404: anthropic.NotFoundError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
    }
    finishes = {"end_turn": "stop", "tool_use": "calls", "max_tokens": "length", "refusal": "filter"}
    shows_thoughts_of = ("openai", "anthropic", "gemini")

    def __init__(self, task):
        self.task = task
        self.client = anthropic_client()
        self.messages = []

    def say(self, text, attachment=None):
        content = [{"type": "text", "text": text}]
        if attachment:
            source = {"type": "base64", "media_type": attachment["media"], "data": attachment["data"]}
            kind = "image" if is_image(attachment) else "document"
            content.append({"type": kind, "source": source})
        self.messages.append({"role": "user", "content": content})
        return self.ask()

    def answer(self, results):
        content = [{"type": "tool_result", "tool_use_id": id, "content": text} for id, _, text in results]
        self.messages.append({"role": "user", "content": content})
        return self.ask()

    def ask(self):
        task = self.task
        options = {"model": task.model, "messages": self.messages, "max_tokens": task.most}
        if task.system:
            options["system"] = task.system
        if task.tools:
            options["tools"] = [
                {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]} for tool in task.tools
            ]
        if task.thinking:
            options["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        if task.form:
            options["output_format"] = task.form
        pieces = 0
        if task.streamed:
            with self.client.messages.stream(**options) as stream:
                pieces = sum(event.type == "text" for event in stream)
                message = stream.get_final_message()
        else:
            messages = self.client.messages
            message = (messages.parse if task.form else messages.create)(**options)
        self.messages.append({"role": "assistant", "content": message.content})
        usage = message.usage
        cached = usage.cache_read_input_tokens or 0
        details = getattr(usage, "output_tokens_details", None)
        return Heard(
            id=message.id,
            text="".join(block.text for block in message.content if block.type == "text"),
            finish=self.finishes[message.stop_reason],
            usage=Usage(
                usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
                usage.output_tokens,
                cached,
                details.thinking_tokens if details else 0,
            ),
            calls=[Call(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"],
            thoughts="".join(block.thinking for block in message.content if block.type == "thinking"),
            value=message.parsed_output if task.form else None,
            pieces=pieces,
        )


class Google:
    """`google-genai`: generateContent. Its chats keep each piece of a stream as a turn of its own, which Gemini refuses."""

    name = "google-genai"
    Error = errors.APIError
    errors = {400: errors.ClientError, 404: errors.ClientError, 429: errors.ClientError, 500: errors.ServerError}
    finishes = {
        types.FinishReason.STOP: "stop",
        types.FinishReason.MAX_TOKENS: "length",
        types.FinishReason.SAFETY: "filter",
    }
    shows_thoughts_of = ("openai", "anthropic", "gemini")

    def __init__(self, task):
        self.task = task
        config = types.GenerateContentConfig(max_output_tokens=task.most, system_instruction=task.system)
        if task.tools:
            functions = [
                types.FunctionDeclaration(
                    name=tool["name"], description=tool["description"], parameters_json_schema=tool["parameters"]
                )
                for tool in task.tools
            ]
            config.tools = [types.Tool(function_declarations=functions)]
        if task.thinking:
            config.thinking_config = types.ThinkingConfig(include_thoughts=True, thinking_level="high")
        if task.form:
            config.response_mime_type, config.response_schema = "application/json", task.form
        self.client = google_client()
        self.config = config
        self.contents = []

    def say(self, text, attachment=None):
        parts = [types.Part(text=text)]
        if attachment:
            blob = types.Blob(mime_type=attachment["media"], data=attachment["data"])
            parts.append(types.Part(inline_data=blob))
        return self.ask(parts)

    def answer(self, results):
        return self.ask(
            [
                types.Part(function_response=types.FunctionResponse(id=id, name=name, response={"output": text}))
                for id, name, text in results
            ]
        )

    def ask(self, parts):
        self.contents.append(types.UserContent(parts))
        options = {"model": self.task.model, "contents": self.contents, "config": self.config}
        models = self.client.models
        answers = list(models.generate_content_stream(**options)) if self.task.streamed else [models.generate_content(**options)]
        said = [part for answer in answers if answer.candidates for part in answer.candidates[0].content.parts or []]
        self.contents.append(types.ModelContent(said or [types.Part(text="")]))
        texts = [part.text for part in said if part.text and not part.thought]
        calls = [Call(part.function_call.id, part.function_call.name, part.function_call.args) for part in said if part.function_call]
        finish = self.finishes[answers[-1].candidates[0].finish_reason]
        usage = answers[-1].usage_metadata
        thought = usage.thoughts_token_count or 0
        output = (usage.candidates_token_count or 0) + thought
        assert usage.total_token_count == usage.prompt_token_count + output
        value = answers[-1].parsed if self.task.form else None
        if self.task.form and self.task.streamed:
            value = self.task.form.model_validate_json("".join(texts))
        return Heard(
            id=answers[-1].response_id,
            text="".join(texts),
            finish="calls" if calls and finish == "stop" else finish,
            usage=Usage(usage.prompt_token_count, output, usage.cached_content_token_count or 0, thought),
            calls=calls,
            thoughts="".join(part.text for part in said if part.text and part.thought),
            value=value,
            pieces=len(texts) if self.task.streamed else 0,
        )


CALLERS = [Chat, Responses, Messages, Google]
