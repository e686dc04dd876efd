"""What real providers answered, told in every other dialect, and judged by the vendors' own SDKs.

The recordings lie in a folder beside the checkout that RECORDED_DIR names. `examples/transcode.rs` writes them in every
dialect; the SDK of each reads that off a socket. What the vendor's own SDK made of the recording is what has to come
out, but for the tables here.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from judges import replay, sdks

RECORDED = Path(os.environ.get("RECORDED_DIR") or Path(__file__).parents[3] / "../shared/data/recorded")
DIALECTS = list(sdks.ALL)

# Streams that were broken on purpose: every caller hears of an error, and never of a proper end.
BROKEN = {
    "parallel-tool-call-wrapper.1.chunks.txt": "the first event stops in the middle of its JSON",
    "spliced-message-start.chunks.txt": "a second message begins in the middle of the first",
    "openai-error.1.chunks.txt": "OpenAI says that the quota is spent",
}
# Streams that OpenAI's own SDK refuses: what their last event repeats is what has to come out.
REFUSED_BY_ITS_SDK = {
    "github-copilot-id-rotation.1.chunks.txt": "a proxy gives the answer a new id in every event",
}
# Streams whose pieces do not add up to what their last event repeats.
NOT_THE_SUM_OF_ITS_PIECES = {
    "openai-shell-container.1.chunks.txt": "the text's pieces were shortened by hand",
}
# What differs between what an SDK accumulates and what our codec folds the same stream to, and why that is right.
ACCUMULATED_OTHERWISE = {
    "prompt_filter_results": "the SDK loses it: it comes in a chunk without choices",
    "encrypted_content": "OpenAI encrypts the same again for the last event",
    "fingerprint": "OpenAI makes it again for the last event",
    "expires_at": "the SDK makes a date of it",
}
# The first chunk has none of these; the SDK keeps that, and our codec waits for the second.
NAMED_LATE = {"azure-model-router.1.chunks.txt": ["id", "model", "created"]}
# The words for how an answer ended.
ENDINGS = {
    "stop": {"openai_chat": "stop", "openai_responses": "completed", "anthropic": "end_turn", "gemini": "STOP"},
    "calls": {"openai_chat": "tool_calls", "openai_responses": "completed", "anthropic": "tool_use", "gemini": "STOP"},
    "refusal": {
        "openai_chat": "content_filter",
        "openai_responses": "content_filter",
        "anthropic": "refusal",
        "gemini": "SAFETY",
    },
}

UNHEARD = {
    "phase": re.compile(r'"phase":\s*"'),
    "prompt_filter_results": re.compile(r'"prompt_filter_results":\s*\['),
}

LAST = ('{"type":"message_stop"', '{"type":"response.completed"')

RECORDINGS = sorted(path.relative_to(RECORDED) for path in RECORDED.glob("*/*"))
ERRORS = [path for path in RECORDINGS if path.suffix == ".json" and b'"error": {' in (RECORDED / path).read_bytes()]
ANSWERS = [path for path in RECORDINGS if path not in ERRORS and path.name not in BROKEN]


def by_name(paths):
    return pytest.mark.parametrize("path", paths, ids=str)


def dialect_of(path):
    return path.parts[0]


def is_stream(path):
    return path.suffix == ".txt"


def lines_of(path):
    """A stream's events. Some recordings are several answers in a row: the first is taken."""
    lines = [line for line in (RECORDED / path).read_text().splitlines() if line.strip()]
    ends = [place for place, line in enumerate(lines) if line.startswith(LAST)]
    return lines[: ends[0] + 1] if ends else lines


@pytest.fixture(scope="module")
def transcoded(tmp_path_factory):
    """Everything in every dialect."""
    out = tmp_path_factory.mktemp("transcoded")
    subprocess.run([os.environ["LLM_GATEWAY_TRANSCODE"], "answers", RECORDED, out], check=True)
    return out


@pytest.fixture(scope="module")
def judges():
    server = replay.Replay()
    yield {name: judge(server) for name, judge in sdks.ALL.items()}
    server.close()


@pytest.fixture(scope="module")
def recorded(judges):
    """What the vendor's own SDK makes of a recording, once each."""
    known = {}

    def read(path):
        if path not in known:
            known[path] = read_by_its_sdk(judges[dialect_of(path)], path)
        return known[path]

    return read


def read_by_its_sdk(judge, path):
    if not is_stream(path):
        return judge.whole((RECORDED / path).read_bytes())
    lines = lines_of(path)
    if path.name in REFUSED_BY_ITS_SDK:
        with pytest.raises(RuntimeError, match="identity changed"):
            judge.stream(judge.frame(lines))
        return judge.whole(json.dumps(json.loads(lines[-1])["response"]).encode())
    answer = judge.stream(judge.frame(lines))
    if path.name in NOT_THE_SUM_OF_ITS_PIECES:
        pieces = [event["delta"] for event in map(json.loads, lines) if event["type"] == "response.output_text.delta"]
        [text] = [part for item in answer.output if item.type == "message" for part in item.content]
        assert text.text != "".join(pieces)
        text.text = "".join(pieces)
    return answer


def ending_of(dialect, said):
    """How the answer ended, in a word of `ENDINGS`."""
    if said.calls and said.finish in ("completed", "STOP", "end_turn"):
        return "calls"
    [ending] = [ending for ending, words in ENDINGS.items() if words[dialect] == said.finish and ending != "calls"] or [
        ending for ending, words in ENDINGS.items() if words[dialect] == said.finish
    ]
    return ending


def unheard(path):
    """What a recording says that no SDK hands out, or that the judges do not look at, and no other dialect has a place for."""
    text = (RECORDED / path).read_text()
    return {name for name, place in UNHEARD.items() if place.search(text)}


def expected(said, dialect, caller):
    """What has to be heard in another dialect."""
    heard = vars(said) | {"finish": ENDINGS[ending_of(dialect, said)][caller]}
    # What only its own vendor understands is left out. Gemini has a place for sources without an address.
    heard["others"] = said.others & {"annotations"} if caller == "gemini" else set()
    if caller in ("anthropic", "gemini"):
        # There are no freeform tools: their input is the only field of a function's arguments.
        heard["calls"] = [(name, {"input": given} if isinstance(given, str) else given) for name, given in said.calls]
    return heard


def test_every_recording_is_told_and_every_table_is_about_some_of_them():
    assert len(RECORDINGS) == 90, f"recorded answers are not in {RECORDED}: set RECORDED_DIR"
    assert len(ERRORS) == 4
    names = {path.name for path in RECORDINGS}
    assert {*BROKEN, *REFUSED_BY_ITS_SDK, *NOT_THE_SUM_OF_ITS_PIECES, *NAMED_LATE} <= names


@by_name(ANSWERS)
def test_a_recording_is_read_as_its_own_sdk_reads_it(path, judges, recorded, transcoded):
    dialect = dialect_of(path)
    judge, folder = judges[dialect], transcoded / path
    whole, stream = [(folder / f"{dialect}.{form}").read_bytes() for form in ("json", "stream")]
    before = recorded(path)
    judge.hold(stream)
    assert judge.said(judge.whole(whole)) == judge.said(before)
    assert judge.said(judge.stream(stream)) == judge.said(before)
    if dialect != "gemini" and path.name not in REFUSED_BY_ITS_SDK and path.name not in NOT_THE_SUM_OF_ITS_PIECES:
        accumulated, folded = before.to_dict(mode="json"), json.loads(whole)
        for field in NAMED_LATE.get(path.name, []):
            assert not accumulated.pop(field) and folded.pop(field)
        assert differences(accumulated, folded) == []


def differences(accumulated, folded, path=""):
    """Where two documents differ; a null is nothing."""
    if isinstance(accumulated, dict) and isinstance(folded, dict):
        return [
            found
            for key in {**accumulated, **folded}
            if key not in ACCUMULATED_OTHERWISE
            for found in differences(accumulated.get(key), folded.get(key), f"{path}.{key}")
        ]
    if isinstance(accumulated, list) and isinstance(folded, list) and len(accumulated) == len(folded):
        pairs = enumerate(zip(accumulated, folded))
        return [found for place, pair in pairs for found in differences(*pair, f"{path}[{place}]")]
    return [] if accumulated == folded else [(path, accumulated, folded)]


ABROAD = [(path, caller) for path in ANSWERS for caller in DIALECTS if caller != dialect_of(path)]


@pytest.mark.parametrize(("path", "caller"), ABROAD, ids=lambda value: str(value))
def test_a_recording_says_the_same_in_another_dialect(path, caller, judges, recorded, transcoded):
    dialect = dialect_of(path)
    judge, folder = judges[caller], transcoded / path
    whole, stream = [(folder / f"{caller}.{form}").read_bytes() for form in ("json", "stream")]
    said = judges[dialect].said(recorded(path))

    judge.answer.validate_json(whole)
    assert vars(judge.said(judge.whole(whole))) == expected(said, dialect, caller)
    judge.hold_strictly(stream)
    assert vars(judge.said(judge.stream(stream))) == expected(said, dialect, caller)

    lost = said.others - expected(said, dialect, caller)["others"] | unheard(path)
    assert set((folder / f"{caller}.losses").read_text().split()) == lost
    assert json.loads((folder / "told.json").read_bytes()) == {"complete": True, "error": None}


@pytest.mark.parametrize("caller", DIALECTS)
@by_name([path for path in RECORDINGS if path.name in BROKEN])
def test_a_broken_stream_ends_in_an_error(path, caller, judges, transcoded):
    judge = judges[caller]
    stream = (transcoded / path / f"{caller}.stream").read_bytes()
    judge.hold_strictly(stream)
    with pytest.raises(judge.errors):
        judge.stream(stream)
    told = json.loads((transcoded / path / "told.json").read_bytes())
    assert not told["complete"] and told["error"]


@pytest.mark.parametrize("caller", DIALECTS)
@by_name(ERRORS)
def test_an_error_is_raised_in_every_dialect_with_the_providers_words(path, caller, judges, transcoded):
    judge = judges[caller]
    message = json.loads((RECORDED / path).read_bytes())["error"]["message"]
    with pytest.raises(judge.errors) as caught:
        judge.whole((transcoded / path / f"{caller}.json").read_bytes(), status=429)
    assert message in str(caught.value)
