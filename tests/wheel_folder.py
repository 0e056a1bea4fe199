"""A folder of wheels in the place of an index, so that environments are built without the internet."""

from __future__ import annotations

import json
import zipfile
from importlib import metadata
from pathlib import Path

# What Metaflow itself needs in every environment.
NEEDED = ("requests", "urllib3", "idna", "certifi", "charset-normalizer")
TAGS = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_wheel(folder: Path, name: str, version: str, module: str, source: str = "", requires: str = "") -> None:
    """Write a wheel of one module, whose VERSION is the wheel's."""
    stem = f"{name.replace('-', '_')}-{version}"
    described = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    described += f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{module}.py", f"VERSION = {version!r}\n{source}")
        archive.writestr(f"{stem}.dist-info/METADATA", described)
        archive.writestr(f"{stem}.dist-info/WHEEL", TAGS)
        archive.writestr(f"{stem}.dist-info/RECORD", "")


def copy_installed(folder: Path, name: str) -> None:
    """Make a wheel of the Python files of what is installed here, for any Python."""
    distribution = metadata.distribution(name)
    stem = f"{name.replace('-', '_')}-{distribution.version}"
    described = f"Metadata-Version: 2.1\nName: {name}\nVersion: {distribution.version}\n"
    for required in distribution.requires or ():
        described += "" if "extra ==" in required else f"Requires-Dist: {required}\n"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for file in distribution.files or ():
            if file.suffix in (".py", ".pem") and ".." not in file.parts:
                archive.write(file.locate(), str(file))
        archive.writestr(f"{stem}.dist-info/METADATA", described)
        archive.writestr(f"{stem}.dist-info/WHEEL", TAGS)
        archive.writestr(f"{stem}.dist-info/RECORD", "")


def make_index(root: Path) -> dict[str, str]:
    """Write the wheels that these tests install; gives the variables that make uv take these and ask no index."""
    folder = root / "wheels"
    folder.mkdir()
    for name in NEEDED:
        copy_installed(folder, name)
    write_wheel(folder, "alpha-dist", "1.0", "alpha")
    write_wheel(folder, "alpha-dist", "2.0", "alpha")
    only_there = "class Thing:\n    def __init__(self, n): self.n = n\nclass Odd(Exception):\n    pass\n"
    write_wheel(folder, "beta", "1.0", "beta", only_there, requires="alpha-dist>=2")
    config = root / "uv.toml"
    config.write_text(f"no-index = true\nfind-links = [{json.dumps(str(folder))}]\n", encoding="utf-8")
    return {"UV_CONFIG_FILE": str(config), "UV_PYTHON_DOWNLOADS": "never"}
