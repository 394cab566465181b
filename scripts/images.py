"""Build the images, print their sizes, and push them if asked to.

images.py [--registry HOST/PATH] [--tag TAG] [--push]

bullpen-runner has the processors of every family; bullpen-runner-http leaves out what only sast-analyze needs.
DOCKER_BUILDKIT=0 builds them with the classic builder.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
MEGABYTE: Final = 1_000_000
TARGET_MB: Final = 80
"""Of bullpen-runner-http above the Python image that it stands on."""


@dataclass(frozen=True)
class Image:
    """What is built under which name."""

    name: str
    dockerfile: str
    arguments: tuple[str, ...] = ()


IMAGES: Final = (
    Image("bullpen-operator", "Dockerfile.operator"),
    Image("bullpen-runner", "Dockerfile.runner"),
    Image("bullpen-runner-http", "Dockerfile.runner", ("EXTRAS=",)),
)


def version() -> str:
    """Read the version of this checkout."""
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return found


def base() -> str:
    """Name the image that all stand on."""
    lines = (ROOT / "Dockerfile.runner").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("FROM ")][-1]


def reference(image: Image, registry: str, tag: str) -> str:
    """Name an image as it is pushed."""
    return "/".join(filter(None, [registry.rstrip("/"), f"{image.name}:{tag}"]))


def built(image: Image, name: str) -> None:
    """Build it; its own words go to the terminal."""
    arguments = [word for argument in image.arguments for word in ("--build-arg", argument)]
    command = ["docker", "build", "-f", str(ROOT / image.dockerfile), "-t", name, *arguments, str(ROOT)]
    subprocess.run(command, check=True)


def size(name: str) -> int:
    """Tell the bytes of an image's layers."""
    command = ["docker", "image", "inspect", "-f", "{{.Size}}", name]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(arguments: list[str]) -> int:
    """Build, print, push; 1 when the target is missed."""
    parser = argparse.ArgumentParser("images.py", description="Build the images and print their sizes.")
    parser.add_argument("--registry", default="", help="stands before every name")
    parser.add_argument("--tag", default="", help="the version of this checkout if left out")
    parser.add_argument("--push", action="store_true", help="push what was built")
    options = parser.parse_args(arguments)
    names = {image: reference(image, options.registry, options.tag or version()) for image in IMAGES}
    for image, name in names.items():
        built(image, name)
    floor = size(base())
    print(f"{base():40} {floor / MEGABYTE:6.0f} MB")
    for name in names.values():
        print(f"{name:40} {size(name) / MEGABYTE:6.0f} MB   + {(size(name) - floor) / MEGABYTE:.0f} MB")
    for name in names.values() if options.push else ():
        subprocess.run(["docker", "push", name], check=True)
    more = (size(names[IMAGES[-1]]) - floor) / MEGABYTE
    print(f"{IMAGES[-1].name} adds {more:.0f} MB (target <= {TARGET_MB})")
    return int(more > TARGET_MB)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))[:200]}: exit {error.returncode}")
