"""Named profiles of OpenAI-compatible endpoints, kept in a file of the user's.

The file is TOML, one table a profile; keys live here or in the environment, never in a workflow or a log::

    [local]
    base_url = "http://127.0.0.1:11434/v1"
    model = "qwen2.5vl:7b"

    [openai]
    base_url = "https://api.openai.com/v1"
    model = "gpt-4o"
    key_env = "OPENAI_API_KEY"
    timeout = 60

    [here]
    folder = "~/models/SmolVLM-Instruct"

The last one is no address but a folder of a vision-language model, for ``local``.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ...errors import SedicError

TIMEOUT = 120.0  # seconds; a vision model on a CPU is slow
EXAMPLE = '[local], base_url = "http://127.0.0.1:11434/v1", model = "qwen2.5vl:7b", each on a line of its own'


class EndpointError(SedicError):
    """The profile of an endpoint is missing or cannot be used."""


@dataclass(frozen=True)
class Endpoint:
    """One profile.

    Attributes:
        name: what the user calls it.
        base_url: up to and including ``/v1``.
        model: the model's name at that endpoint.
        key: sent as bearer token; empty for servers that want none. Left out of ``repr``.
        timeout: seconds for one request.
        folder: of a local model, which then stands in place of an address; None for one on the network.
    """

    name: str
    base_url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = TIMEOUT
    folder: Path | None = None

    @property
    def host(self) -> str:
        """Host and port alone, for messages."""
        parts = urlsplit(self.base_url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def default_path() -> Path:
    """``~/.config/sedic/endpoints.toml``, on every system."""
    return Path.home() / ".config" / "sedic" / "endpoints.toml"


def read_endpoint(name: str, path: Path | None = None, environment: Mapping[str, str] | None = None) -> Endpoint:
    """Reads the profile ``name``.

    Args:
        name: a table of the file.
        path: the file; None for :func:`default_path`.
        environment: where ``key_env`` is looked up; None for the process's own.

    Raises:
        EndpointError: no such file or profile, or a field that cannot be used; the message never holds a key.
    """
    path = default_path() if path is None else path
    profiles = _read_toml(path)
    if name not in profiles:
        known = ", ".join(profiles) or "none"
        raise EndpointError(f"The endpoint {name!r} is not in {path} (there: {known}); write into it, e.g. {EXAMPLE}.")
    table = profiles[name]
    if not isinstance(table, dict):
        raise EndpointError(f"{name!r} in {path} is not a table; write e.g. {EXAMPLE}.")
    folder = _text(table, "folder", name, path)
    if folder:
        where = Path(folder).expanduser()
        return Endpoint(name, "", where.name, folder=where if where.is_absolute() else path.absolute().parent / where)
    base_url = _text(table, "base_url", name, path, required=True)
    _check_url(base_url, name, path)
    return Endpoint(
        name,
        base_url,
        _text(table, "model", name, path, required=True),
        _key(table, name, path, os.environ if environment is None else environment),
        _timeout(table, name, path),
    )


def _read_toml(path: Path) -> dict:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise EndpointError(f"There is no endpoint file {path}; write it, e.g. {EXAMPLE}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise EndpointError(f"The endpoint file {path} cannot be read; save it as UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        # Without the cause: some versions of the parser carry the whole text, and with it the keys.
        sentence = f"The endpoint file {path} is not TOML ({error}); write e.g. {EXAMPLE}."
    raise EndpointError(sentence)


def _text(table: dict, key: str, name: str, path: Path, required: bool = False) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or (required and not value.strip()):
        raise EndpointError(f"The endpoint {name!r} in {path} needs {key!r} as a string in quotes.")
    return value.strip()


def _check_url(base_url: str, name: str, path: Path) -> None:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise EndpointError(f"base_url of the endpoint {name!r} in {path} must look like http://127.0.0.1:8080/v1.")
    if "@" in parts.netloc or parts.query:  # clients log their addresses
        raise EndpointError(f"base_url of the endpoint {name!r} in {path} holds a password; put it into key instead.")


def _key(table: dict, name: str, path: Path, environment: Mapping[str, str]) -> str:
    variable = _text(table, "key_env", name, path)
    key = _text(table, "key", name, path)
    if variable and not key:
        # A key pasted into key_env by mistake must not be shown: only what looks like a variable's name is.
        shown = f" {variable}" if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", variable) else ""
        key = environment.get(variable, "").strip()
        if not key:
            raise EndpointError(
                f"The endpoint {name!r} takes its key from the environment variable{shown} (key_env in {path}), "
                "which is not set; set it and start again."
            )
    if not key.isascii() or any(c.isspace() or not c.isprintable() for c in key):
        raise EndpointError(f"The key of the endpoint {name!r} holds spaces or other odd characters; paste it again.")
    return key


def _timeout(table: dict, name: str, path: Path) -> float:
    value = table.get("timeout", TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise EndpointError(f"timeout of the endpoint {name!r} in {path} must be a number of seconds above 0.")
    return float(value)
