"""What an image's name means: the registry's host, and the repository's path in it.

Belongs here: the grammar of names and of platforms, and Docker's short names.
Does not: tags and digests on the wire (slipway.artifacts.images), whether such an image exists.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

# https://github.com/distribution/reference: a first component with a dot, a colon or `localhost` is a host;
# anything else is a path in Docker's registry, where a path of one component lies under `library/`.
DOCKER = "docker.io"
_HOST = re.compile(
    r"^([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(:\d{1,5})?$"
)
_COMPONENT = re.compile(r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$")
_LONGEST_PATH = 255


def split_image(image: str) -> tuple[str, str]:
    """(host with port, path) of an image's name; raises ValueError with the remedy."""
    if "@" in image or ":" in image.rpartition("/")[2]:
        raise ValueError("holds a tag or digest. Write them in the fields tag and digest")
    if "://" in image:
        raise ValueError("a URL. Write host and path alone, such as registry.example/team/engine")
    first, _, rest = image.partition("/")
    is_host = bool(rest) and ("." in first or ":" in first or first == "localhost")
    host, path = (first.lower(), rest) if is_host else (DOCKER, image)
    if host == DOCKER and "/" not in path:
        path = f"library/{path}"
    if not _HOST.match(host):
        raise ValueError(f"{host} is not a registry's host. Write host[:port]/path")
    if not all(_COMPONENT.match(part) for part in path.split("/")) or len(path) > _LONGEST_PATH:
        raise ValueError(f"{path} is not a repository's path. Use lower case letters, digits, . _ - and /")
    return host, path


def split_registry(name: str) -> tuple[str, str]:
    """(host with port, path or nothing) of `host[:port][/path]`; raises ValueError with the remedy."""
    host, _, path = name.partition("/")
    if not _HOST.match(host):
        raise ValueError("not a registry. Write host[:port] or host[:port]/path, without a scheme")
    if path and not all(_COMPONENT.match(part) for part in path.split("/")):
        raise ValueError(f"{path} is not a repository's path. Use lower case letters, digits, . _ - and /")
    return host.lower(), path


def _checked_image(image: str) -> str:
    split_image(image)
    return image


def _checked_registry(name: str) -> str:
    split_registry(name)
    return name


Image = Annotated[str, AfterValidator(_checked_image)]
RegistryName = Annotated[str, AfterValidator(_checked_registry)]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
ImageDigest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Platform = Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$")]
