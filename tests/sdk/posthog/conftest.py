"""A PostHog to send to, and clients that tell it of their calls as PostHog's own wrappers do."""

import gzip
import json
import os
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from posthog import Posthog
from posthog.ai.anthropic import Anthropic
from posthog.ai.gemini import Client as Gemini
from posthog.ai.openai import AsyncOpenAI, OpenAI

GATEWAY = os.environ["LLM_GATEWAY_TEST_URL"]
KEY = os.environ["LLM_GATEWAY_TEST_KEY"]
POSTHOG = os.environ["LLM_GATEWAY_POSTHOG_HOST"]

OPENAI_MODEL = "gpt-4.1-mini"
ANTHROPIC_MODEL = "claude-sonnet-4-6"
GEMINI_MODEL = "gemini-2.5-flash"

# The team of the key that `dev` takes.
GROUPS = {"project": 1}

DEADLINE = 30


class StandIn:
    """Takes events from the gateway and from PostHog's package alike, and keeps them by trace."""

    def __init__(self):
        self.arrived = threading.Condition()
        self.events = []

    def take(self, batch):
        with self.arrived:
            self.events.extend(batch)
            self.arrived.notify_all()

    def pair(self, trace):
        """The wrapper's event and the gateway's of this trace, in this order."""

        def found():
            events = [event for event in self.events if event["properties"].get("$ai_trace_id") == trace]
            ours = [event for event in events if event["properties"]["$ai_lib"] == "llm-gateway"]
            theirs = [event for event in events if event["properties"]["$ai_lib"] == "posthog-ai"]
            return (theirs[0], ours[0]) if len(theirs) == len(ours) == 1 else None

        with self.arrived:
            pair = self.arrived.wait_for(found, timeout=DEADLINE)
        traces = [event["properties"].get("$ai_trace_id") for event in self.events]
        assert pair, f"no two events of trace {trace} came; there are {traces}"
        return pair


@pytest.fixture(scope="session")
def stand_in():
    kept = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip" or "compression=gzip" in self.path:
                body = gzip.decompress(body)
            kept.take(json.loads(body)["batch"])
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "15")
            self.end_headers()
            self.wfile.write(b'{"status":"Ok"}')

        def log_message(self, *_):
            pass

    address = urlsplit(POSTHOG)
    server = ThreadingHTTPServer((address.hostname, address.port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def posthog(stand_in):
    return Posthog("phc_test", host=POSTHOG, sync_mode=True, flush_at=1)


@pytest.fixture
def trace():
    return str(uuid.uuid4())


@pytest.fixture
def headers(trace):
    return {"x-posthog-trace-id": trace}


@pytest.fixture
def chat(posthog, headers):
    return OpenAI(
        posthog_client=posthog, base_url=f"{GATEWAY}/v1", api_key=KEY, default_headers=headers, max_retries=0
    )


@pytest.fixture
def async_chat(posthog, headers):
    return AsyncOpenAI(
        posthog_client=posthog, base_url=f"{GATEWAY}/v1", api_key=KEY, default_headers=headers, max_retries=0
    )


@pytest.fixture
def claude(posthog, headers):
    return Anthropic(posthog_client=posthog, base_url=GATEWAY, api_key=KEY, default_headers=headers, max_retries=0)


@pytest.fixture
def google(posthog, headers):
    # Google's format has no place for the end user.
    options = {"base_url": GATEWAY, "headers": {**headers, "x-posthog-distinct-id": "ann"}}
    return Gemini(posthog_client=posthog, api_key=KEY, http_options=options)
