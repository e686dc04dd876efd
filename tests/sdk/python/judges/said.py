"""What an answer says, in words that all four dialects share, taken from the objects of the vendors' SDKs.

Counts are in one convention: totals include everything.
"""

import json
from dataclasses import dataclass, field


@dataclass
class Said:
    text: str = ""
    refusal: str = ""
    thoughts: str = ""
    calls: list = field(default_factory=list)
    """Name, and arguments as JSON or the text of a freeform input, of each of the caller's tools."""
    citations: list = field(default_factory=list)
    """The addresses, each once, in their order."""
    finish: str = ""
    usage: dict = field(default_factory=dict)
    """Counts that are not zero."""
    images: int = 0
    tokens: list = field(default_factory=list)
    """The tokens whose probabilities are told."""
    others: set = field(default_factory=set)
    """The types of what only its own vendor understands: tools that it runs itself, and what they gave."""

    def cite(self, url):
        """A source without an address is a file that only its vendor has."""
        if not url:
            self.others.add("annotations")
        elif url not in self.citations:
            self.citations.append(url)

    def count(self, **counts):
        self.usage = {name: count for name, count in counts.items() if count}


def of_anthropic(message):
    said = Said()
    for block in message.content:
        if block.type == "text":
            said.text += block.text
            for citation in block.citations or []:
                said.cite(getattr(citation, "url", None))
        elif block.type == "thinking":
            said.thoughts += block.thinking
        elif block.type == "tool_use":
            said.calls.append((block.name, block.input))
        elif block.type != "redacted_thinking":
            said.others.add(block.type)
    said.finish = message.stop_reason
    usage = message.usage
    read, write = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    details = getattr(usage, "output_tokens_details", None)
    said.count(
        input=usage.input_tokens + read + write,
        output=usage.output_tokens,
        cache_read=read,
        cache_write=write,
        reasoning=getattr(details, "thinking_tokens", 0) or 0,
    )
    return said


def of_chat(completion):
    said = Said()
    choice = completion.choices[0]
    message = choice.message
    said.text = message.content or ""
    said.refusal = message.refusal or ""
    said.thoughts = getattr(message, "reasoning_content", None) or ""
    for call in message.tool_calls or []:
        if call.type == "custom":
            # The types of streamed calls know functions only, so that the SDK leaves a custom one as it is.
            custom = call.custom if isinstance(call.custom, dict) else call.custom.to_dict()
            said.calls.append((custom["name"], custom["input"]))
        else:
            said.calls.append((call.function.name, json.loads(call.function.arguments or "{}")))
    for annotation in message.annotations or []:
        said.cite(annotation.url_citation.url)
    if choice.logprobs:
        said.tokens = [entry.token for entry in choice.logprobs.content or []]
    said.images = len(getattr(message, "images", None) or [])
    said.finish = choice.finish_reason
    usage = completion.usage
    into, out = usage.prompt_tokens_details, usage.completion_tokens_details
    said.count(
        input=usage.prompt_tokens,
        output=usage.completion_tokens,
        cache_read=into and into.cached_tokens,
        cache_write=into and getattr(into, "cache_write_tokens", 0),
        reasoning=out and out.reasoning_tokens,
    )
    return said


def of_responses(response):
    said = Said()
    for item in response.output:
        if item.type == "message":
            for part in item.content:
                if part.type == "refusal":
                    said.refusal += part.refusal
                    continue
                said.text += part.text
                said.tokens += [entry.token for entry in part.logprobs or []]
                for annotation in part.annotations or []:
                    said.cite(getattr(annotation, "url", None))
        elif item.type == "reasoning":
            said.thoughts += "".join(text.text for text in [*item.summary, *(item.content or [])])
        elif item.type == "function_call":
            said.calls.append((item.name, json.loads(item.arguments or "{}")))
        elif item.type == "custom_tool_call":
            said.calls.append((item.name, item.input))
        elif item.type == "image_generation_call":
            said.images += 1
        else:
            said.others.add(item.type)
    details = response.incomplete_details
    said.finish = details.reason if details else response.status
    usage = response.usage
    if usage:
        said.count(
            input=usage.input_tokens,
            output=usage.output_tokens,
            cache_read=usage.input_tokens_details.cached_tokens,
            cache_write=getattr(usage.input_tokens_details, "cache_write_tokens", 0),
            reasoning=usage.output_tokens_details.reasoning_tokens,
        )
    return said


def of_gemini(chunks):
    """Google's SDK hands out chunks and leaves it to the caller to put them together: parts follow each other, the last
    finish reason and the last counts stand. A call's arguments may come in pieces, by JSON path (`partial_args`)."""
    said = Said()
    open_call = None
    for chunk in chunks:
        if chunk.usage_metadata:
            usage = chunk.usage_metadata
            thoughts, tools = usage.thoughts_token_count or 0, usage.tool_use_prompt_token_count or 0
            said.count(
                input=(usage.prompt_token_count or 0) + tools,
                output=(usage.candidates_token_count or 0) + thoughts,
                cache_read=usage.cached_content_token_count,
                reasoning=thoughts,
            )
        candidate = next(iter(chunk.candidates or []), None)
        if candidate is None:
            continue
        for part in (candidate.content and candidate.content.parts) or []:
            if part.function_call is not None:
                open_call = a_piece_of_a_call(said, open_call, part.function_call)
            elif part.thought:
                said.thoughts += part.text or ""
            elif part.text:
                said.text += part.text
            elif part.inline_data is not None:
                said.images += 1
        metadata = candidate.grounding_metadata
        for source in (metadata and metadata.grounding_chunks) or []:
            said.cite(source.web and source.web.uri)
        if candidate.citation_metadata:
            for citation in candidate.citation_metadata.citations or []:
                said.cite(citation.uri)
        if candidate.finish_reason:
            said.finish = candidate.finish_reason.value
    return said


def a_piece_of_a_call(said, open_call, call):
    if open_call is None:
        open_call = (call.name, call.args or {})
        said.calls.append(open_call)
    for piece in call.partial_args or []:
        put(open_call[1], piece)
    return open_call if call.will_continue else None


def put(arguments, piece):
    """Puts a value where a path of the form `$.a.b[0].c` says; a text is continued where there is one."""
    steps = []
    for name in piece.json_path.removeprefix("$.").replace("[", ".[").split("."):
        steps.append(int(name[1:-1]) if name.startswith("[") else name)
    if piece.string_value is not None:
        value = piece.string_value
    elif piece.number_value is not None:
        value = piece.number_value
    elif piece.bool_value is not None:
        value = piece.bool_value
    else:
        value = None
    place = arguments
    for step, after in zip(steps, steps[1:]):
        empty = [] if isinstance(after, int) else {}
        if isinstance(place, list):
            if step == len(place):
                place.append(empty)
        else:
            place.setdefault(step, empty)
        place = place[step]
    last = steps[-1]
    if isinstance(place, list):
        if last == len(place):
            place.append(value)
        elif isinstance(value, str):
            place[last] += value
    elif isinstance(value, str) and isinstance(place.get(last), str):
        place[last] += value
    else:
        place[last] = value
