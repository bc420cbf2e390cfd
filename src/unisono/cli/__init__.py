"""The command line: `unisono encode | decode | roundtrip | info | models`."""

from __future__ import annotations


def main() -> None:
    """Entry point of the installed command."""
    from unisono.cli.app import run

    run()


if __name__ == "__main__":
    main()
