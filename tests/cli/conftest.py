"""What the tests of commands share."""

from __future__ import annotations

import pytest

from unisono.cli.app import run


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """`cli("encode", …)` gives (exit status, stdout, stderr); runs in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            run([str(a) for a in arguments])
            status = 0
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
        out, err = capsys.readouterr()
        return status, out, err

    return call
