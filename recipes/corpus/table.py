"""The packages of the corpus with checksums and licences, read from `packages.txt`."""

from __future__ import annotations

from pathlib import Path

from recipes.packages import Package


def read_table(path: Path) -> dict[str, Package]:
    """Packages by name; a line holds file name, licence and SHA-256, `#` starts a comment."""
    packages = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        file, licence, sha256 = line.split()
        wheel = file.endswith(".whl")
        name = file.split("-")[0].replace("_", "-") if wheel else file.split("_")[0]
        packages[name] = Package(name, "wheel" if wheel else "deb", file, sha256, licence)
    return packages


PACKAGES = read_table(Path(__file__).with_name("packages.txt"))
