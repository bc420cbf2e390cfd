"""What all commands share: options, the report of failures, progress bars."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unisono.errors import ConfigError
from unisono.models import DEFAULT

Model = Annotated[str, typer.Option("--model", "-m", help="Embedded name, model folder or hub id.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")]
Dtype = Annotated[str, typer.Option(help="float32, float16, bfloat16 or auto.")]
Int8 = Annotated[bool, typer.Option("--int8", help="Encoder in int8 (CPU; some tokens change).")]
BatchSeconds = Annotated[float, typer.Option(help="Audio in one batch, at most, in seconds.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, errors only.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log more; show tracebacks.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Make existing outputs anew.")]
Seed = Annotated[int, typer.Option(help="Noise seed: same seed, same waveform.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Decoder steps: quality against time.")]
VoiceOption = Annotated[
    str | None, typer.Option("--voice", help="Voice of the output: a name, or a recording of it.")
]
DEFAULT_MODEL = DEFAULT


@dataclass
class Session:
    """How this run talks: progress and messages on stderr, results on stdout."""

    quiet: bool = False
    as_json: bool = False
    verbose: bool = False
    failures: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.err = Console(stderr=True, soft_wrap=True, highlight=False)
        self.out = Console(soft_wrap=True, highlight=False)
        logging.basicConfig(
            level=logging.DEBUG if self.verbose else logging.WARNING, format="%(message)s"
        )
        if not self.verbose:
            # Libraries' own chatter; what matters reaches the user as an error sentence.
            for name in ("transformers", "huggingface_hub", "matplotlib", "urllib3"):
                logging.getLogger(name).setLevel(logging.ERROR)

    def say(self, text: str) -> None:
        """A line for people; silent with --quiet and --json."""
        if not (self.quiet or self.as_json):
            self.out.print(text, markup=False)

    def fail(self, name: str, reason: object) -> None:
        """Note a failed item; the run goes on."""
        self.failures.append((name, " ".join(str(reason).split())))

    def summary(
        self, verb: str, done: int, of: int, audio: str, seconds: float, where: object
    ) -> None:
        """The closing line of a bulk command: what was done, left as it was, and failed."""
        skipped, failed = of - done - len(self.failures), len(self.failures)
        self.say(
            f"{done} {verb} ({audio}) in {seconds:.1f} s"
            + (f", {skipped} already there" if skipped > 0 else "")
            + (f", {failed} failed" if failed else "")
            + f" -> {where}"
        )

    def finish(self, result: dict[str, Any]) -> None:
        """Print the result and the failures; exit with status 1 if there were any."""
        if self.as_json:
            failed = [{"input": name, "reason": reason} for name, reason in self.failures]
            sys.stdout.write(json.dumps({**result, "failures": failed}, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        if self.failures:
            self.err.print(f"{len(self.failures)} failed:", markup=False)
            for name, reason in self.failures:
                text = reason if name in reason else f"{name}: {reason}"
                self.err.print(f"  {text}", markup=False)
            raise typer.Exit(1)

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Any]:
        """A progress bar on stderr; gives a function to call once per finished item."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        hidden = self.quiet or self.as_json or not self.err.is_terminal
        with Progress(*columns, console=self.err, disable=hidden, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda: bar.advance(task)


def load_model(name: str, device: str, dtype: str, int8: bool = False, decoder: bool = True) -> Any:
    """`unisono.load`, imported late so that `--help` stays quick."""
    from unisono.hub import load

    return load(name, device=device, dtype=dtype, int8=int8, decoder=decoder)


def check_choice(what: str, value: str, choices: tuple[str, ...]) -> str:
    """`value` if it is one of `choices`, else `ConfigError`."""
    if value not in choices:
        raise ConfigError(f"{what} '{value}' is unknown; use {', '.join(choices)}.")
    return value
