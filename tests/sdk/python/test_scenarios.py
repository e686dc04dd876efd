"""Every SDK holds every conversation of scenarios.json with a model of every family, and the provider gets what it should."""

import itertools
import json
import pathlib
import re
import uuid

import pytest

from callers import CALLERS, Forecast, Task
from conftest import reached

SHARED = json.loads((pathlib.Path(__file__).parents[1] / "scenarios.json").read_text())
# What only its maker reads, as a simulated provider made it: base64 of "sandbox1…".
SEAL = re.compile(r'"(?:signature|encrypted_content|thoughtSignature|data)": ?"c2FuZGJveD[^"]*"')


def task(scenario, models, mark):
    model = models["thinker" if "thinking" in scenario else "model"]
    if "faulty" in scenario:
        # A model that was rate limited is left alone for a while: this one is nobody else's.
        model = f"{models['faulty']}-{mark}"
    return Task(
        model=model,
        streamed=scenario.get("streamed", False),
        system=scenario.get("system"),
        tools=SHARED["tools"] if "tools" in scenario else [],
        form=Forecast if "schema" in scenario else None,
        thinking=scenario.get("thinking", False),
        most=scenario.get("most", 8192),
    )


def speak(conversation, turn, calls, mark):
    if "results" in turn:
        return conversation.answer([(call.id, call.name, SHARED["results"][call.name]) for call in calls])
    attachment = SHARED["attachments"][turn["attach"]] if "attach" in turn else None
    return conversation.say(f"{turn['say']} ({mark})", attachment)


def check(heard, hears, family, shows_thoughts):
    assert heard.id
    assert heard.finish == hears["finish"]
    if "text" in hears:
        assert heard.text == hears["text"]
    for mention in hears.get("mentions", []):
        assert mention in heard.text
    if "words" in hears:
        assert heard.text == " ".join(f"word{number}" for number in range(1, hears["words"] + 1))
    assert [{"name": call.name, "arguments": call.arguments} for call in heard.calls] == hears.get("calls", [])
    ids = [call.id for call in heard.calls if call.id is not None]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", id) for id in ids)
    if "value" in hears:
        assert heard.value == Forecast(**hears["value"])
    assert heard.pieces >= hears.get("pieces", 0)
    assert heard.usage.input > 0 and heard.usage.output > 0
    assert heard.usage.cached == hears.get("cached", heard.usage.cached)
    # Who is given a budget for thoughts has none between calls.
    if "thinks" in hears:
        thinks = family in hears["thinks"]
        assert bool(heard.thoughts) == (thinks and shows_thoughts)
        assert (0 < heard.usage.thought < heard.usage.output) == thinks
    else:
        assert heard.usage.thought <= heard.usage.output


def check_failure(caller, error, fails):
    assert isinstance(error, caller.Error)
    if "status" in fails:
        assert isinstance(error, caller.errors[fails["status"]])
        # Google's SDK calls it a code.
        status = error.status_code if hasattr(error, "status_code") else error.code
        assert status == fails["status"]
        assert str(error)


TABLE = [
    pytest.param(caller, family, scenario, id=f"{caller.name} | {family} | {scenario['name']}")
    for caller, family, scenario in itertools.product(CALLERS, SHARED["families"], SHARED["scenarios"])
]


@pytest.mark.parametrize(("caller", "family", "scenario"), TABLE)
def test_a_conversation(caller, family, scenario):
    mark = uuid.uuid4().hex
    conversation = caller(task(scenario, SHARED["families"][family], mark))
    calls = []
    for turn in scenario["turns"]:
        if "fails" in turn:
            with pytest.raises(caller.Error) as caught:
                speak(conversation, turn, calls, mark)
            check_failure(caller, caught.value, turn["fails"])
            return
        heard = speak(conversation, turn, calls, mark)
        check(heard, turn["hears"], family, family in caller.shows_thoughts_of)
        calls = heard.calls

    requests = reached(family, mark)
    assert len(requests) == len(scenario["turns"])
    last = json.dumps(requests[-1]["body"], ensure_ascii=False)
    # Google takes files in both alphabets of base64, and its own SDK writes the URL-safe one.
    letters = str.maketrans("-_", "+/") if family == "gemini" else {}
    for text in scenario.get("reaches", []):
        assert text.translate(letters) in last.translate(letters)
    # Chat completions has no place for its own models' thoughts.
    if not (family == "openai" and caller.name == "openai-chat"):
        assert len(SEAL.findall(last)) == scenario.get("seals", {}).get(family, 0)
