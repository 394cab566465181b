"""Build hook: takes the Lua that Bullpen needs out of the pinned `bullmq` distribution, checked, with its notice.

The scripts are BullMQ's own (MIT, v5 dialect) and never committed. They land in the work tree, git-ignored, for
editable installs, and in every wheel.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VERSION: Final = "2.26.0"
"""Of PyPI `bullmq`; its Lua is that of npm 5.81.5. Moves only together with SHA256SUMS and the tests beside Node."""

LUA: Final = "protocol/bullpen_protocol/bullmq/lua"

# The distribution carries no licence file: this is LICENSE of the package that npm publishes from the same repository.
NOTICE: Final = f"""\
The Lua scripts in this folder are part of BullMQ (https://github.com/taskforcesh/bullmq),
taken unchanged from the distribution bullmq {VERSION} on PyPI.

MIT License

Copyright (c) 2018 BullForce Labs AB and contributors.

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


class ScriptsError(Exception):
    """The scripts can't be had as they were reviewed; the build stops with this sentence."""


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # its argument is the builder's configuration
    """Lays down the scripts before a wheel or an editable install is built; an sdist goes without them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - their signature
        """Hatchling calls this first; *version* is `standard` or `editable`."""
        if self.target_name != "wheel":
            return
        lua = Path(self.root) / LUA
        scripts = read_scripts(expected_sums(lua / "SHA256SUMS"), installed_folder())
        write_scripts(lua / "upstream", scripts)
        build_data["artifacts"].append(f"/{LUA}/upstream/*")  # git-ignored, and yet part of the wheel


def expected_sums(path: Path) -> dict[str, str]:
    """Read the committed table, in the form of sha256sum(1): file name -> digest."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {name: digest for digest, name in lines}


def installed_folder() -> Path:
    """Find the scripts of the build requirement without importing it."""
    try:
        found = metadata.distribution("bullmq")
    except metadata.PackageNotFoundError:
        message = f"BullMQ's scripts are missing: install bullmq=={VERSION} where Bullpen is built"
        raise ScriptsError(message) from None
    if found.version != VERSION:
        raise ScriptsError(f"BullMQ's scripts must come from bullmq=={VERSION}; {found.version} is installed")
    return Path(str(found.locate_file("bullmq/commands")))


def read_scripts(sums: dict[str, str], folder: Path) -> dict[str, bytes]:
    """Read each script of *sums* from *folder*; raises ScriptsError unless every byte is the one reviewed."""
    scripts = {}
    for name, digest in sums.items():
        path = folder / name
        if not path.is_file():
            raise ScriptsError(f"bullmq {VERSION} holds no {name}")
        scripts[name] = path.read_bytes()
        found = hashlib.sha256(scripts[name]).hexdigest()
        if found != digest:
            raise ScriptsError(f"{name} of bullmq {VERSION} has sha256 {found}, but {LUA}/SHA256SUMS says {digest}")
    return scripts


def write_scripts(folder: Path, scripts: dict[str, bytes]) -> None:
    """Make *folder* hold exactly these scripts and their notice; each file is replaced in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = scripts | {"NOTICE": NOTICE.encode()}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        part = folder / f".{name}.part"
        part.write_bytes(content)
        part.replace(folder / name)
