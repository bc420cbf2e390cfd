"""Command line of the corpus: `python -m recipes.corpus --out DIR`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from recipes.corpus.build import build, existing, join
from recipes.corpus.classes import class_table
from recipes.corpus.sources import all_sources
from recipes.packages import Packages
from unisono.data.manifest import summary_table
from unisono.errors import UnisonoError


def main(arguments: list[str] | None = None) -> int:
    """Build the sources of all phases up to `--phase`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recipes.corpus", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--cache", type=Path, help="folder with packages that exist already")
    parser.add_argument("--sources", nargs="*", help="only these sources, by name")
    parser.add_argument("--phase", type=int, default=99, help="stop after this phase")
    parser.add_argument("--table", action="store_true", help="only show what is there already")
    options = parser.parse_args(arguments)
    sources = all_sources()
    unknown = set(options.sources or ()) - {source.name for source in sources}
    if unknown:
        known = ", ".join(source.name for source in sources)
        parser.error(f"unknown sources {', '.join(sorted(unknown))}; known: {known}")
    packages = Packages(options.cache or options.out / "cache", options.out / "unpacked")
    try:
        if options.table:
            items = existing(sources, options.out)
            print(f"{summary_table(items)}\n\n{class_table(items)}")
            return 0
        for source in sources:
            wanted = source.name in options.sources if options.sources else True
            if wanted and source.phase <= options.phase:
                begin = time.monotonic()
                items = build(source, packages, options.out)
                minutes = sum(item.duration for item in items) / 60
                seconds = time.monotonic() - begin
                print(f"{source.name}: {len(items)} clips, {minutes:.1f} min ({seconds:.0f} s)")
        items = join(sources, options.out)
        print(f"{summary_table(items)}\n\n{class_table(items)}")
    except UnisonoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
