"""A chat server on loopback that answers well, badly, slowly or not at all, as a test says.

Well means: a request with audio gets a caption that names the clip by the length of its WAV
(`clip 7`), a request with a description gets SAP whose transcription is that name.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import soundfile

# Clip n has this many samples and 16 n more, at 16 kHz.
BASE_SAMPLES = 1600


def sap_of(name: str, **changes: Any) -> dict[str, Any]:
    """A whole SAP object with a transcription."""
    voice = dict.fromkeys(("age", "gender", "emotion", "accent", "prosody", "timbre"))
    scene = {"description": "A quiet room.", "discreteEvents": [], "continuousEvents": []}
    return {"transcription": name, "paralinguistics": voice, "nonLinguisticEvents": scene} | changes


@dataclass
class Reply:
    """What is sent; `delay` seconds pass first, and `drip` seconds between any two bytes."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    # Bytes after which the connection is closed although more was promised; None: all are sent.
    cut: int | None = None


@dataclass
class Call:
    """One request as it came in."""

    body: dict[str, Any]
    headers: Mapping[str, str]
    path: str
    began: float

    @property
    def hears(self) -> bool:
        content = self.body["messages"][-1]["content"]
        return isinstance(content, list) and content[0]["type"] == "input_audio"

    @property
    def clip(self) -> str:
        """Name of the clip that the request is about."""
        if self.hears:
            part = self.body["messages"][-1]["content"][0]["input_audio"]
            assert part["format"] == "wav"
            samples, rate = soundfile.read(BytesIO(base64.b64decode(part["data"])))
            assert rate == 16000
            return f"clip {(len(samples) - BASE_SAMPLES) // 16}"
        found = re.search(r"clip \d+", self.body["messages"][1]["content"])
        return found[0] if found else ""


def chat(content: Any, finish: str = "stop", **message: Any) -> Reply:
    """A chat completion with this content."""
    choice = {"index": 0, "finish_reason": finish, "message": {"content": content, **message}}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return Reply(json.dumps({"object": "chat.completion", "choices": [choice],
                             "usage": usage}).encode())  # fmt: skip


def failure(status: int, message: str = "not now", **headers: str) -> Reply:
    """An error as OpenAI's servers write it."""
    return Reply(
        json.dumps({"error": {"message": message}}).encode(),
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
    )


def well(call: Call) -> Reply:
    """The good answer."""
    if call.hears:
        return chat(f"A voice says {call.clip}.")
    return chat(json.dumps(sap_of(call.clip)))


class OpenAIServer:
    """The server; `reply` may be changed while it runs, `calls` has all requests so far."""

    def __init__(self, reply: Callable[[Call], Reply]) -> None:
        self.reply = reply
        self.calls: list[Call] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server._serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """Clients that time out or are killed close connections; that is the point."""

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["Content-Length"])
        call = Call(
            json.loads(handler.rfile.read(length)),
            {name.lower(): value for name, value in handler.headers.items()},
            handler.path,
            time.monotonic(),
        )
        with self._lock:
            self.calls.append(call)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self._send(handler, self.reply(call))
        finally:
            with self._lock:
                self._at_once -= 1

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        time.sleep(reply.delay)
        if reply.cut is not None and reply.cut < 0:
            handler.close_connection = True
            return
        handler.send_response(reply.status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if reply.drip:
            for byte in reply.body:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(reply.drip)
            return
        handler.wfile.write(reply.body[: reply.cut])
        if reply.cut is not None:
            handler.close_connection = True


@contextmanager
def serving(reply: Callable[[Call], Reply] = well) -> Iterator[OpenAIServer]:
    """A server for the length of a block."""
    server = OpenAIServer(reply)
    try:
        yield server
    finally:
        server.close()


def in_turn(*replies: Reply) -> Callable[[Call], Reply]:
    """These replies one after another, the last one for ever; for one request at a time."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
