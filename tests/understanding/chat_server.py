"""A server on loopback that speaks chat completions, and whatever faults it is told to have."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sedic.understanding.words.endpoints import Endpoint

KEY = "sk-planted-0123456789"
GOOD = {
    "objects": [{"name": "red barn", "detail": "weathered boards"}, {"name": "pond", "detail": ""}],
    "overall": "a red barn beside a pond",
}


def completion(content, **message):
    """A good response with this content."""
    choice = {"index": 0, "finish_reason": message.pop("finish_reason", "stop")}
    choice["message"] = {"role": "assistant", "content": content, **message}
    return 200, json.dumps({"id": "1", "object": "chat.completion", "created": 0, "model": "eyes", "choices": [choice]})


def refusing(*options, status=400, text="{} is not supported"):
    """An answer to each request: an error while it carries one of these options, then a good completion."""

    def answer(body):
        for option in options:
            if option in body:
                return failure(status, text.format(option))
        return completion(json.dumps(GOOD))

    return answer


def failure(status, text=f"it broke; your key was {KEY}"):
    """An error response that repeats the key."""
    return status, json.dumps({"error": {"message": text, "type": "error", "code": None}})


class Server(ThreadingHTTPServer):
    """Speaks chat completions: gives the answers in turn, the last one for ever, and keeps what it was asked.

    An answer is (status, text) or a function from the request to one. ``delay`` is the time until an answer, in
    seconds; ``trickle``, the time between its bytes; ``cut``, after how many the connection breaks; ``headers`` go
    with every answer; ``paths`` and ``heard`` hold addresses and headers of the requests.
    """

    daemon_threads = True

    def __init__(self):
        """Listens on a free port."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.keys, self.times = [completion(json.dumps(GOOD))], [], [], []
        self.paths, self.heard = [], []
        self.delay, self.trickle, self.cut = 0.0, 0.0, None
        self.headers = {"retry-after-ms": "1"}

    def endpoint(self, **changes):
        """The profile that reaches this server."""
        base_url = f"http://127.0.0.1:{self.server_port}/v1"
        return Endpoint(**{"name": "home", "base_url": base_url, "model": "eyes", "key": KEY, "timeout": 10, **changes})

    def handle_error(self, request, client_address):
        """A client that hung up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    def do_POST(self):
        """The server's next answer, after its delay."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.times.append(time.monotonic())
        self.server.keys.append(self.headers.get("Authorization"))
        self.server.paths.append(self.path)
        self.server.heard.append(str(self.headers))
        time.sleep(self.server.delay)
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        status, text = answer(body) if callable(answer) else answer
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if text[:1] in ("{", "[") else "text/html")
        self.send_header("Content-Length", str(len(data)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        data = data[: self.server.cut]
        if not self.server.trickle:
            self.wfile.write(data)
        else:
            for byte in data:
                self.wfile.write(bytes([byte]))
                time.sleep(self.server.trickle)

    def log_message(self, *_args):
        """Silence."""


@contextmanager
def serving() -> Iterator[Server]:
    """A server that answers well until it is told otherwise, for the length of a ``with``."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
