"""Errors: one family, and a missing extra named with the command that installs it."""

import importlib
import json

import pytest

from unisono import errors
from unisono.errors import MissingExtraError, UnisonoError, require_extra


@pytest.mark.parametrize("name", [n for n in errors.__all__ if n.endswith("Error")])
def test_every_error_is_a_unisono_error(name: str) -> None:
    assert issubclass(getattr(errors, name), UnisonoError)


def test_require_extra_gives_the_module() -> None:
    assert require_extra("json", "eval") is json


def test_missing_extra_names_module_and_command() -> None:
    with pytest.raises(MissingExtraError) as caught:
        require_extra("no_such_module_of_ours.deep", "eval")
    assert str(caught.value) == (
        "no_such_module_of_ours.deep needs the 'eval' extra: pip install 'unisono[eval]'"
    )
    assert isinstance(caught.value, ImportError)


def test_extra_that_fails_to_import_tells_why(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_extra_module.py").write_text("import a_module_that_it_lacks\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(MissingExtraError, match=r"a_module_that_it_lacks.*unisono\[train\]"):
        require_extra("broken_extra_module", "train")
