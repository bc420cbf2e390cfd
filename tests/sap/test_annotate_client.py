"""The chat client against a real server: what it sends, tries again, gives up, and says."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest
from openai_server import Reply, chat, closed_port, failure, in_turn, serving

from unisono.errors import ConfigError
from unisono.sap.client import (
    AccessError,
    AnswerError,
    ChatOptions,
    ChatServer,
    RequestError,
    ServerError,
)

QUESTION = [{"role": "user", "content": "Ö?"}]


def ask(url: str, **options: object) -> str:
    patient = {"first_wait": 0.01, "attempts": 3, "timeout": 20.0} | options

    async def run() -> str:
        async with ChatServer(ChatOptions(url, "small", **patient)) as server:
            return await server.ask(QUESTION)

    return asyncio.run(run())


def test_request_and_answer():
    async def run(url: str) -> ChatServer:
        options = ChatOptions(f"{url}/", "small", "sk-1", body={"seed": 3}, temperature=None)
        async with ChatServer(options) as server:
            assert await server.ask(QUESTION, top_k=1) == "Žluťoučký"
            assert await server.ask(QUESTION) == "Žluťoučký"
            return server

    with serving(lambda call: chat("Žluťoučký")) as http:
        usage = asyncio.run(run(http.url)).usage
    assert http.calls[0].path == "/v1/chat/completions"
    assert http.calls[0].headers["authorization"] == "Bearer sk-1"
    assert http.calls[0].body == {
        "model": "small", "messages": QUESTION, "max_tokens": 1024, "seed": 3, "top_k": 1,
    }  # fmt: skip
    assert "top_k" not in http.calls[1].body
    assert (usage.requests, usage.retries, usage.prompt_tokens) == (2, 0, 10)


def test_without_a_key_no_authorization_is_sent():
    with serving(lambda call: chat("yes")) as http:
        assert ask(http.url) == "yes"
    assert "authorization" not in http.calls[0].headers


@pytest.mark.parametrize(
    "bad",
    [
        failure(429),
        failure(500),
        failure(503),
        failure(408),
        Reply(b"<html>gateway</html>"),
        Reply(b'{"choices": [{"mess'),
        Reply(b"[1]"),
        Reply(b'{"error": {"message": "overloaded"}}'),
        Reply(b'{"choices": []}', cut=5),
        Reply(b"", cut=-1),
        Reply(b"", headers={"Content-Encoding": "gzip"}, status=502),
        Reply(b"no gzip", headers={"Content-Encoding": "gzip"}),
    ],
    ids=["429", "500", "503", "408", "html", "torn", "list", "error", "cut", "closed", "empty",
         "gzip"],
)  # fmt: skip
def test_trouble_that_passes_is_tried_again(bad):
    with serving(in_turn(bad, bad, chat("at last"))) as http:
        assert ask(http.url) == "at last"
    assert len(http.calls) == 3


def test_trouble_that_stays_is_given_up_with_the_reason():
    seen = pytest.raises(ServerError, match=r"HTTP 500: out of memory")
    with serving(lambda call: failure(500, "out of\nmemory")) as http, seen as caught:
        ask(http.url)
    assert len(http.calls) == 3 and not isinstance(caught.value, AccessError)


def test_retry_after_in_seconds_is_followed():
    with serving(in_turn(failure(429, Retry_After="0.4"), chat("yes"))) as http:
        assert ask(http.url) == "yes"
    assert http.calls[1].began - http.calls[0].began >= 0.4


def test_retry_after_as_a_date_is_followed():
    stated: list[int] = []
    came: list[float] = []

    def reply(_: object) -> Reply:
        came.append(time.time())
        if stated:
            return chat("yes")
        stated.append(int(time.time()) + 2)
        return failure(503, Retry_After=formatdate(stated[0], usegmt=True))

    with serving(reply) as http:
        assert ask(http.url) == "yes"
    assert came[1] >= stated[0]


def test_retry_after_has_a_bound_and_may_be_nonsense():
    absurd = [failure(429, Retry_After=value) for value in ("86400", "soon", "inf", "-1", "")]
    with serving(in_turn(*absurd, chat("yes"))) as http:
        began = time.monotonic()
        assert ask(http.url, attempts=6, longest_retry_after=0.1) == "yes"
    assert time.monotonic() - began < 10


def test_silence_times_out_and_is_tried_again():
    with serving(in_turn(Reply(b"", delay=1.5), chat("yes"))) as http:
        assert ask(http.url, timeout=0.5) == "yes"
    assert len(http.calls) == 2


def test_a_trickling_answer_meets_the_deadline_too():
    slow = Reply(chat("never").body, drip=0.05)
    with serving(lambda call: slow) as http, pytest.raises(ServerError, match=r"within 0\.4 s"):
        ask(http.url, timeout=0.4, attempts=2)
    assert len(http.calls) == 2


def test_nobody_listens():
    port = closed_port()
    with pytest.raises(ServerError, match=rf"127\.0\.0\.1:{port}/v1/chat/completions gave no answ"):
        ask(f"http://127.0.0.1:{port}/v1")


@pytest.mark.parametrize("status", [301, 401, 403, 404])
def test_what_no_patience_mends_is_not_tried_again(status):
    seen = pytest.raises(AccessError, match=f"HTTP {status}: bad key; check")
    with serving(lambda call: failure(status, "bad key")) as http, seen:
        ask(http.url, key="sk-secret")
    assert len(http.calls) == 1


def test_a_request_that_the_server_does_not_take():
    seen = pytest.raises(RequestError, match="HTTP 400: too long")
    with serving(lambda call: failure(400, "too long")) as http, seen:
        ask(http.url)
    assert len(http.calls) == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (chat(None, refusal="I can't\nhelp."), "refuses: I can't help"),
        (chat("half", finish="length"), "cut off"),
        (chat("", finish="content_filter"), "filter"),
        (chat("  \n"), "empty"),
        (chat(None), "empty"),
        (chat({"text": "odd"}), "empty"),
        (Reply(b'{"choices": []}'), "no chat completion"),
        (Reply(b'{"choices": {"0": 1}}'), "no chat completion"),
        (Reply(b'{"choices": [{"message": "text"}]}'), "no chat completion"),
        (Reply(b"{}"), "no chat completion"),
        (Reply(b" " * (9 << 20)), "goes on for more"),
    ],
)
def test_answers_that_are_none(reply, reason):
    with serving(lambda call: reply) as http, pytest.raises(AnswerError, match=reason):
        ask(http.url)
    assert len(http.calls) == 1


def test_answer_in_parts():
    with serving(lambda call: chat([{"type": "text", "text": "a"}, {"text": "b"}, 1])) as http:
        assert ask(http.url) == "ab"


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://a/v1", "http://", "http://a:port/"])
def test_addresses_that_are_none(url):
    with pytest.raises(ConfigError, match="http://localhost:8000/v1"):
        ChatOptions(url, "small")


def test_options_are_checked_and_hide_the_key():
    with pytest.raises(ConfigError, match="key"):
        ChatOptions("http://a/v1", "small", "sk-1\n")
    with pytest.raises(ConfigError, match="model"):
        ChatOptions("http://a/v1", "")
    with pytest.raises(ConfigError, match="attempts"):
        ChatOptions("http://a/v1", "small", attempts=0)
    assert "sk-secret" not in repr(ChatOptions("http://a/v1", "small", "sk-secret"))
