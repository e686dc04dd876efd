"""Lays the event of PostHog's wrapper and the gateway's of the same call side by side."""

import json

# What both have and need not agree on, and why.
DIFFER = {
    "$lib": "who sends the event",
    "$lib_version": "who sends the event",
    "$ai_lib": "who saw the call",
    "$ai_lib_version": "who saw the call",
    "$ai_latency": "two clocks: the wrapper's has the way to the gateway in it",
    "$ai_base_url": "the wrapper knows the gateway's address, the gateway the provider's",
    "$ai_error": "the wrapper has the text of its SDK's exception",
    "$geoip_disable": "a switch of PostHog's package",
}

# What only the wrapper has: facts about its own process.
THEIRS_ALONE = {
    "$geoip_disable",
    "$is_server",
    "$os",
    "$os_version",
    "$os_distro",
    "$python_runtime",
    "$python_version",
    "$context_tags",
    "$session_id",
}

# Absent and 0 are the same here: the wrappers leave 0 out of whole answers and keep it in some streams.
COUNTS = {"$ai_cache_read_input_tokens", "$ai_cache_creation_input_tokens", "$ai_reasoning_tokens", "$ai_web_search_count"}

PICTURE = "<a picture>"


def agree(pair, *, but_for=()):
    """Both events agree, but for what has to differ and for the properties named in `but_for`."""
    theirs, ours = pair
    assert theirs["event"] == ours["event"] == "$ai_generation"
    assert theirs["distinct_id"] == ours["distinct_id"]
    theirs, ours = bare(theirs["properties"]), bare(ours["properties"])

    missing = {name for name in set(theirs) - set(ours) if not (name in COUNTS and theirs[name] == 0)}
    assert missing - THEIRS_ALONE - set(but_for) == set(), "the gateway's event lacks these"

    shared = (set(theirs) & set(ours)) | COUNTS
    for name in sorted(shared - set(DIFFER) - set(but_for)):
        default = 0 if name in COUNTS else None
        assert theirs.get(name, default) == ours.get(name, default), f"{name}\n{show(theirs)}\n{show(ours)}"
    return theirs, ours


def bare(value):
    """Without nulls, and with pictures that were left out told in one way."""
    if isinstance(value, dict):
        if set(value) == {"type", "media_type", "size_bytes"}:
            return PICTURE
        members = {name: bare(member) for name, member in value.items() if member is not None}
        if any(redacted(member) for member in members.values()):
            return PICTURE
        return members
    if isinstance(value, list):
        return [bare(item) for item in value]
    return value


def redacted(member):
    # The wrapper leaves the shape around the bytes: {"type": "image_url", "image_url": {"url": "[base64 image redacted]"}}
    return member == PICTURE or (isinstance(member, str) and member == "[base64 image redacted]")


def show(properties):
    return json.dumps(properties, indent=1, sort_keys=True)
