"""One chat model behind an OpenAI-compatible server: ask, try again, give up with a reason (ours).

`POST BASE_URL/chat/completions` is all that is used, so vLLM, SGLang, llama.cpp, Ollama and hosted
services do. httpx2 carries it, which transformers' hub client installs anyway; tenacity repeats.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from unisono.errors import ConfigError, UnisonoError, require_extra

__all__ = ["AccessError", "AnswerError", "ChatOptions", "ChatServer", "RequestError", "ServerError"]

EXTRA = "annotate"
# An answer is some kilobytes of text; what goes on for longer than this is no answer.
ANSWER_BYTES = 8 << 20
_AGAIN = frozenset({408, 409, 425, 429})
_ACCESS = frozenset({401, 402, 403, 404, 405, 407})

log = logging.getLogger(__name__)


class ServerError(UnisonoError):
    """The server gave no answer, however often it was asked; later it may."""


class AccessError(ServerError):
    """The server will answer nothing: wrong address, key or model."""


class RequestError(UnisonoError):
    """The server does not take this request (HTTP 4xx); another one it may."""


class AnswerError(UnisonoError):
    """The model answered, but not with what was asked for; `answer` is what it said."""

    def __init__(self, reason: str, answer: str = "") -> None:
        super().__init__(reason)
        self.answer = answer


class _TransientError(ServerError):
    """Worth another try, after `wait` seconds if the server names a time."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class ChatOptions:
    """Which model to ask, and how patiently.

    Attributes:
        base_url: address up to and with the version, as `http://localhost:8000/v1`.
        model: name of the model on the server.
        key: bearer token; empty for servers without keys.
        timeout: seconds for one request, from its beginning to the last byte of its answer.
        attempts: how often a request without an answer is made, at most.
        first_wait: seconds before the second attempt, about; doubles with each further one.
        longest_wait: seconds between attempts, at most.
        longest_retry_after: up to how many seconds a server's Retry-After is followed.
        temperature, max_tokens: as the API has them; None leaves them to the server.
        body: further fields of the request.
    """

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_retry_after: float = 600.0
    temperature: float | None = 0.0
    max_tokens: int | None = 1024
    body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            right = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            right = False
        if not right:
            raise ConfigError(
                f"server address {self.base_url!r} is none; write it as http://localhost:8000/v1"
            )
        if not self.model:
            raise ConfigError("name the model that the server is to use")
        if not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise ConfigError("the server's key holds characters that no key has; copy it anew")
        if self.timeout <= 0 or self.attempts < 1:
            raise ConfigError("timeout must be above 0 seconds, attempts at least 1")

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self.base_url.rstrip('/')}/chat/completions"


@dataclass
class Usage:
    """What has been asked of a server so far."""

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ChatServer:
    """Asks one model; an async context manager, for any number of tasks at once.

    Args:
        options: which model, and how patiently.
        connections: how many requests may be under way at once.

    Raises:
        MissingExtraError: the `annotate` extra is not installed.
    """

    def __init__(self, options: ChatOptions, connections: int = 64) -> None:
        self.options = options
        self.usage = Usage()
        self._http = require_extra("httpx2", EXTRA)
        self._tenacity = require_extra("tenacity", EXTRA)
        headers = {"Authorization": f"Bearer {options.key}"} if options.key else {}
        self._client = self._http.AsyncClient(
            headers=headers,
            timeout=self._http.Timeout(options.timeout, pool=None),
            limits=self._http.Limits(
                max_connections=connections, max_keepalive_connections=connections
            ),
        )

    async def __aenter__(self) -> ChatServer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def ask(self, messages: Sequence[Mapping[str, Any]], **body: Any) -> str:
        """The text that the model answers; `body` has further fields for this request.

        Raises:
            AnswerError: a refusal, an empty or a cut-off answer.
            RequestError: the server does not take this request.
            AccessError: the server takes none from us.
            ServerError: no answer after all attempts.
        """
        options, tools = self.options, self._tenacity
        sent: dict[str, Any] = {"model": options.model, "messages": list(messages)}
        if options.temperature is not None:
            sent["temperature"] = options.temperature
        if options.max_tokens is not None:
            sent["max_tokens"] = options.max_tokens
        sent |= {**options.body, **body}
        content = json.dumps(sent, ensure_ascii=False).encode()
        backoff = tools.wait_random_exponential(
            multiplier=options.first_wait, max=options.longest_wait
        )

        def wait(state: Any) -> float:
            error = state.outcome.exception()
            named = min(error.wait or 0.0, options.longest_retry_after)
            # Some chance on top: workers that were told the same time must not return as one.
            return float(named + backoff(state) * (0.1 if named else 1.0))

        def note(state: Any) -> None:
            self.usage.retries += 1
            log.info("%s, attempt %d", state.outcome.exception(), state.attempt_number + 1)

        attempts = tools.AsyncRetrying(
            stop=tools.stop_after_attempt(options.attempts),
            wait=wait,
            retry=tools.retry_if_exception_type(_TransientError),
            before_sleep=note,
            reraise=True,
        )
        return _text(await attempts(self._post, content))

    async def _post(self, content: bytes) -> dict[str, Any]:
        url = self.options.url
        self.usage.requests += 1
        try:
            # httpx's own limits are for each read: a trickling answer would pass them for ever.
            status, headers, data = await asyncio.wait_for(
                self._exchange(content), self.options.timeout
            )
        except (asyncio.TimeoutError, self._http.TimeoutException):
            raise _TransientError(
                f"{url} gave no whole answer within {self.options.timeout:g} s"
            ) from None
        except (self._http.TransportError, self._http.DecodingError) as error:
            reason = str(error) or type(error).__name__
            raise _TransientError(f"{url} gave no answer ({reason})") from error
        if status >= 300:
            raise _status_error(url, status, headers, data)
        try:
            answer = json.loads(data)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise _TransientError(f"{url} sent something that is no whole JSON object")
        if "choices" not in answer and "error" in answer:
            raise _TransientError(f"{url} reports: {_complaint(data)}")
        usage = answer.get("usage")
        if isinstance(usage, dict):
            for name in ("prompt_tokens", "completion_tokens"):
                if isinstance(usage.get(name), int):
                    setattr(self.usage, name, getattr(self.usage, name) + usage[name])
        return answer

    async def _exchange(self, content: bytes) -> tuple[int, Mapping[str, str], bytes]:
        request = self._client.stream(
            "POST",
            self.options.url,
            content=content,
            headers={"Content-Type": "application/json"},
        )
        async with request as response:
            data = bytearray()
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > ANSWER_BYTES:
                    raise AnswerError(f"the answer goes on for more than {ANSWER_BYTES} bytes")
            return response.status_code, response.headers, bytes(data)


def _status_error(
    url: str, status: int, headers: Mapping[str, str], data: bytes
) -> ServerError | RequestError:
    reason = f"{url} answers with HTTP {status}: {_complaint(data)}"
    if status in _AGAIN or status >= 500:
        return _TransientError(reason, _retry_after(headers))
    if status < 400 or status in _ACCESS:
        return AccessError(f"{reason}; check address, key and model")
    return RequestError(reason)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or as a date; None without a usable one."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return seconds if 0.0 <= seconds < float("inf") else None


def _complaint(data: bytes) -> str:
    """What the server says is wrong, in one short line."""
    text = data[:4096].decode("utf-8", "replace")
    try:
        said = json.loads(data)
        said = said.get("error", said)
        text = str(said.get("message", said) if isinstance(said, dict) else said)
    except (ValueError, AttributeError):
        pass
    return " ".join(text.split())[:300] or "no reason given"


def _text(answer: Mapping[str, Any]) -> str:
    """The model's text in a chat completion; `AnswerError` when it holds none that is whole."""
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
        finish = choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise AnswerError(
            "the server's answer is no chat completion", json.dumps(answer)[:4096]
        ) from None
    if isinstance(content, list):
        # Some servers give the text in parts.
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    text = content if isinstance(content, str) else ""
    if refusal:
        raise AnswerError(f"the model refuses: {' '.join(str(refusal).split())[:300]}", text)
    if finish == "content_filter":
        raise AnswerError("the server's filter held the answer back", text)
    if finish == "length":
        raise AnswerError("the answer is cut off: allow more tokens", text)
    if not text.strip():
        raise AnswerError("the answer is empty", text)
    return text
