from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def examples():
    """The folder of the recording that the README uses."""
    return Path(__file__).parents[2] / "examples"
