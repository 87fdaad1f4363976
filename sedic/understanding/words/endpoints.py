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
    max_tokens = 20000
    requests_per_minute = 50
    extra_body = { reasoning_effort = "low" }

    [azure]
    base_url = "https://NAME.openai.azure.com/openai/deployments/gpt-4o"
    api_version = "2024-10-21"
    model = "gpt-4o"
    key_env = "AZURE_OPENAI_API_KEY"

    [here]
    folder = "~/models/SmolVLM-Instruct"

The last one is no address but a folder of a vision-language model, for ``local``.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ...errors import SedicError

TIMEOUT = 120.0  # seconds; a vision model on a CPU is slow
# More than any answer: models that think first spend it on thoughts, and servers have defaults as low as 16.
MAX_TOKENS = 8192
KEYS = ("base_url", "model", "key", "key_env", "timeout", "max_tokens", "extra_body", "api_version", "folder",
        "requests_per_minute")  # fmt: skip
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
        max_tokens: most that the model may say, its thoughts included.
        extra_body: sent with each request as it is. Left out of ``repr``: it may hold what is nobody's business.
        api_version: of Azure's classic address; empty elsewhere.
        requests_per_minute: most questions that folders of pictures ask; 0 for as many as there are workers.
    """

    name: str
    base_url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = TIMEOUT
    folder: Path | None = None
    max_tokens: int = MAX_TOKENS
    extra_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    api_version: str = ""
    requests_per_minute: float = 0.0

    @property
    def identity(self) -> str:
        """What an answer depends on; to be hashed before it is written anywhere."""
        more = [self.api_version, json.dumps(self.extra_body, sort_keys=True, default=str) if self.extra_body else ""]
        return " ".join(filter(None, [self.base_url, self.model, str(self.folder or ""), *more]))

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
    _name_unknown(table, name, path)
    folder = _text(table, "folder", name, path)
    if folder:
        where = Path(folder).expanduser()
        return Endpoint(name, "", where.name, folder=where if where.is_absolute() else path.absolute().parent / where)
    base_url, version = _address(_text(table, "base_url", name, path, required=True), name, path)
    version = _text(table, "api_version", name, path) or version
    azure = str(urlsplit(base_url).hostname).endswith(".openai.azure.com") and not base_url.endswith("/v1")
    if ("/openai/deployments/" in base_url or azure) and not version:
        raise EndpointError(
            f"base_url of the endpoint {name!r} in {path} is Azure's classic address, which needs a version: write "
            'api_version = "2024-10-21", or give the newer address, which ends in /openai/v1.'
        )
    return Endpoint(
        name,
        base_url,
        _text(table, "model", name, path, required=True),
        _key(table, name, path, os.environ if environment is None else environment),
        _number(table, "timeout", "seconds", name, path, TIMEOUT),
        max_tokens=_max_tokens(table, name, path),
        extra_body=_extra_body(table, name, path),
        api_version=version,
        requests_per_minute=_number(table, "requests_per_minute", "questions", name, path, 0.0),
    )


def _name_unknown(table: dict, name: str, path: Path) -> None:
    for key in table:
        if key in KEYS:
            continue
        # A key pasted in place of a word must not be shown.
        shown = repr(key) if re.fullmatch(r"[A-Za-z]+([_-][A-Za-z]+)*", key) and len(key) <= 30 else "a key"
        close = difflib.get_close_matches(key.lower().replace("-", "_"), KEYS, 1, 0.7)
        meant = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(KEYS)}."
        warnings.warn(
            f"The endpoint {name!r} in {path} has {shown}, which means nothing here and changes nothing; {meant}",
            stacklevel=3,
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


def _address(base_url: str, name: str, path: Path) -> tuple[str, str]:
    """The address that requests are made under, and the api-version that stands in it, which may be empty."""
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise EndpointError(f"base_url of the endpoint {name!r} in {path} must look like http://127.0.0.1:8080/v1.")
    query = parse_qs(parts.query, keep_blank_values=True)
    version = query.pop("api-version", [""])[0]
    if "@" in parts.netloc or query:  # clients log their addresses
        raise EndpointError(f"base_url of the endpoint {name!r} in {path} holds a password; put it into key instead.")
    place = re.sub(r"/chat/completions/*$", "", parts.path).rstrip("/")  # as providers print it, to be copied
    return f"{parts.scheme}://{parts.netloc}{place}", version


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


def _number(table: dict, key: str, of: str, name: str, path: Path, default: float) -> float:
    """A number above 0; ``of`` says of what."""
    value = table.get(key, default)
    if value is default:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise EndpointError(f"{key} of the endpoint {name!r} in {path} must be a number of {of} above 0.")
    return float(value)


def _max_tokens(table: dict, name: str, path: Path) -> int:
    value = table.get("max_tokens", MAX_TOKENS)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise EndpointError(f"max_tokens of the endpoint {name!r} in {path} must be a whole number above 0.")
    return value


def _extra_body(table: dict, name: str, path: Path) -> dict[str, Any]:
    value = table.get("extra_body", {})
    try:
        json.dumps(value)
    except (TypeError, ValueError):  # TOML has dates, JSON has not
        value = None
    if not isinstance(value, dict):
        raise EndpointError(
            f"extra_body of the endpoint {name!r} in {path} must be a table of what JSON can say, "
            'e.g. extra_body = { reasoning_effort = "low" }.'
        )
    return value
