"""Writing a file so that it is either there and whole, or not there at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unisono.errors import UnisonoError

__all__ = ["TEMPORARY_SUFFIX", "atomic_path", "write_bytes"]

TEMPORARY_SUFFIX = ".unisono-part"


@contextmanager
def atomic_path(
    target: str | os.PathLike[str], error: type[UnisonoError] = UnisonoError
) -> Iterator[Path]:
    """Give a temporary path beside `target`; at the end of the block it becomes `target`.

    When the block raises, the temporary file is removed and an older `target` stays as it was.
    A process killed inside the block leaves at most a hidden file that ends in
    `TEMPORARY_SUFFIX`. Any `OSError` (no such folder, no permission, disk full) in the block or
    around it becomes one `error` that names the target.
    """
    target = Path(target)
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        if target.is_dir():
            raise error(f"cannot write {target}: it is a folder; give the name of a file")
        # Created here, before any work, so that an unwritable place shows itself at once.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        # Contents reach the disk before the name does: a power cut leaves no empty target.
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    except FileNotFoundError as problem:
        if not target.parent.is_dir():
            message = f"cannot write {target}: the folder {target.parent} does not exist; create it"
            raise error(message) from problem
        raise _unwritable(target, problem, error) from problem
    except OSError as problem:
        raise _unwritable(target, problem, error) from problem
    finally:
        _remove(temporary)


def write_bytes(
    target: str | os.PathLike[str], data: bytes, error: type[UnisonoError] = UnisonoError
) -> None:
    """Write `data` to `target` through `atomic_path`."""
    with atomic_path(target, error) as temporary:
        temporary.write_bytes(data)


def _unwritable(target: Path, problem: OSError, error: type[UnisonoError]) -> UnisonoError:
    reason = problem.strerror or str(problem)
    return error(f"cannot write {target}: {reason}; choose a place where you may write")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # The folder itself is unusable; the error on its way says so.
        return
