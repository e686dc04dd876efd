"""A server on this machine that answers with bytes that were put there before, so that an SDK reads them off a socket."""

import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Replay:
    def __init__(self):
        self.answers = {}
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                status, kind, body = replay.answers[self.path.split("/")[1]]
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @contextmanager
    def at(self, body, status=200):
        """A base URL under which every POST is answered with this: a JSON document, or server-sent events."""
        is_json = body.lstrip()[:1] == b"{"
        kind = "application/json" if is_json else "text/event-stream; charset=utf-8"
        name = uuid.uuid4().hex
        self.answers[name] = (status, kind, body)
        try:
            yield f"http://127.0.0.1:{self.server.server_port}/{name}"
        finally:
            del self.answers[name]
