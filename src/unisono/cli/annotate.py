"""`unisono annotate`: SAP labels from models behind OpenAI-compatible servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unisono.cli import common
from unisono.errors import ConfigError

if TYPE_CHECKING:
    from unisono.sap.annotate import Summary

_STRUCTURED = ("none", "json_object", "json_schema")


def annotate(
    inputs: Annotated[
        list[Path], typer.Argument(help="Manifests (.jsonl), Parquet files or folders of them.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A manifest (.jsonl), or a folder for Parquet.")
    ],
    base_url: Annotated[
        str,
        typer.Option(envvar="OPENAI_BASE_URL", help="Server, as http://localhost:8000/v1."),
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", envvar="UNISONO_SAP_MODEL", help="Text model there.")
    ],
    api_key: Annotated[
        str, typer.Option(envvar="OPENAI_API_KEY", help="Its key, best given by the environment.")
    ] = "",
    caption_model: Annotated[
        str,
        typer.Option(
            envvar="UNISONO_CAPTION_MODEL", help="Model that hears clips; without: data's captions."
        ),
    ] = "",
    caption_url: Annotated[
        str, typer.Option(envvar="UNISONO_CAPTION_URL", help="Its server, if another.")
    ] = "",
    caption_key: Annotated[
        str, typer.Option(envvar="UNISONO_CAPTION_KEY", help="Its key, if on another server.")
    ] = "",
    concurrency: Annotated[int, typer.Option(min=1, help="Clips in work at once.")] = 8,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one answer.")] = 120.0,
    attempts: Annotated[int, typer.Option(min=1, help="Requests for one answer, at most.")] = 6,
    tries: Annotated[int, typer.Option(min=1, help="Answers for one SAP, at most.")] = 2,
    temperature: Annotated[
        float, typer.Option(help="Of the models; below 0 leaves it to the server.")
    ] = 0.0,
    max_tokens: Annotated[
        int, typer.Option(min=0, help="Of one answer; 0 leaves it to the server.")
    ] = 1024,
    structured: Annotated[
        str, typer.Option(help="Form that the server enforces: none, json_object or json_schema.")
    ] = "none",
    body: Annotated[
        str, typer.Option(help="Further fields of each request, as a JSON object.")
    ] = "{}",
    max_seconds: Annotated[
        float, typer.Option(min=0.1, help="Longer clips are put aside.")
    ] = 300.0,
    retry_rejected: Annotated[
        bool, typer.Option("--retry-rejected", help="Ask anew for the clips that lie aside.")
    ] = False,
    quiet: common.Quiet = False,
    as_json: common.AsJson = False,
    verbose: common.Verbose = False,
) -> None:
    """Label clips with SAP by asking models: audio → caption → SAP.

    A run that was stopped goes on where it was. Answers that are no SAP lie aside with the reason,
    in OUT.rejected.jsonl or OUT/rejected.jsonl. Exit status 1 when clips got no answer at all.
    """
    session = common.Session(quiet, as_json, verbose)
    common.check_choice("structured", structured, _STRUCTURED)
    from unisono.sap.annotate import AnnotateOptions, Summary, annotate
    from unisono.sap.annotate_input import ClipStream
    from unisono.sap.annotate_models import ServerCaptioner, ServerSapWriter
    from unisono.sap.annotate_output import open_sink
    from unisono.sap.client import ChatOptions, ChatServer

    shared: dict[str, Any] = {
        "timeout": timeout,
        "attempts": attempts,
        "temperature": temperature if temperature >= 0 else None,
        "max_tokens": max_tokens or None,
        "body": _body(body),
    }
    writing = ChatOptions(base_url, model, api_key, **shared)
    hearing = None
    if caption_model:
        # A key goes to the server that it was given for, and to no other.
        key = caption_key or ("" if caption_url else api_key)
        hearing = ChatOptions(caption_url or base_url, caption_model, key, **shared)
    options = AnnotateOptions(concurrency=concurrency, max_seconds=max_seconds)
    latest = Summary()

    async def run() -> Summary:
        async with contextlib.AsyncExitStack() as stack:
            server = await stack.enter_async_context(ChatServer(writing, concurrency))
            writer = ServerSapWriter(server, tries, structured)  # type: ignore[arg-type]
            captioner = None
            if hearing is not None:
                heard = await stack.enter_async_context(ChatServer(hearing, concurrency))
                captioner = ServerCaptioner(heard)
            sink = stack.enter_context(open_sink(out, retry_rejected))
            clips = ClipStream(inputs, sink.folder, sink.settled)
            if out.suffix == ".jsonl" and not clips.manifests_only():
                raise ConfigError(
                    f"{out}: a manifest cannot name audio in Parquet files; give a folder with -o"
                )
            return await annotate(clips, writer, sink, captioner, options, note)

    with session.progress("annotate", None) as advance:

        def note(summary: Summary) -> None:
            nonlocal latest
            latest = summary
            advance()

        try:
            summary = asyncio.run(run())
        except BaseException:
            _say(session, latest, out)
            raise
    _say(session, summary, out)
    for where, reason in summary.reasons.items():
        session.fail(where, reason)
    unnamed = summary.unanswered - len(summary.reasons)
    if unnamed:
        session.fail(f"{unnamed} more", "no answer")
    session.finish({**asdict(summary), "output": str(out)})


def _say(session: common.Session, summary: Summary, out: Path) -> None:
    parts = [
        f"{count} {name}"
        for name, count in (
            ("with a repair", summary.repaired),
            ("with a SAP before", summary.kept),
            ("answered before", summary.reused),
        )
        if count
    ]
    more = "".join(
        f", {count} {name}"
        for name, count in (
            ("already there", summary.skipped),
            ("put aside", summary.rejected),
            ("without an answer", summary.unanswered),
        )
        if count
    )
    session.say(
        f"{summary.labelled} labelled"
        + (f" ({', '.join(parts)})" if parts else "")
        + more
        + (f" in {summary.seconds:.1f} s" if summary.seconds else "")
        + f" -> {out}"
    )


def _body(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise ConfigError(f"--body {text!r} is no JSON object")
    return fields
