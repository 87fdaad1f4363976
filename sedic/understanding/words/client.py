"""The connection to an endpoint: the ``openai`` package's client, kept to the profile alone.

The package takes keys, ids and headers of an OpenAI account from the environment and sends them to whatever address it
is given; httpx takes proxies and certificates from there. Here a server of this machine gets none of the environment,
and nobody but OpenAI anything of its account. The package sends, waits and asks again; what asking again does not help,
or came as a success and is none, it is told by marks on the response.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .completions import error_inside
from .conversation import TextualizeError
from .endpoints import Endpoint
from .refusals import read_refusal, who

INSIDE = "x-error-inside"  # marks a response that came as a success with an error in it
_HEADERS = ["host", "accept", "accept-encoding", "connection", "content-type", "content-length", "transfer-encoding"]
_HEADERS += ["user-agent", "authorization", "api-key", "x-stainless-raw-response"]
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def open_client(endpoint: Endpoint, retries: int) -> Any:
    """A client of the ``openai`` package.

    Raises:
        TextualizeError: the proxies or certificates of the environment cannot be used.
    """
    from openai import AzureOpenAI, DefaultHttpxClient, OpenAI

    hooks: dict[str, list[Any]] = {"request": [_Headers(endpoint)], "response": [_mark]}
    try:
        http = DefaultHttpxClient(timeout=endpoint.timeout, trust_env=not own_machine(endpoint), event_hooks=hooks)
    except Exception as error:  # of many kinds, none of which says which variable is meant
        sentence = _environment(error, endpoint)
    else:
        # The key itself is set on each request, below: some versions of the package log what they are given here.
        common: dict[str, Any] = {"api_key": "none", "http_client": http, "max_retries": retries}
        common |= {"timeout": endpoint.timeout, "base_url": re.sub(r"//[^/@]*@", "//", endpoint.base_url)}
        if not endpoint.api_version:
            return OpenAI(**common)
        if not _classic(endpoint):
            return OpenAI(**common, default_query={"api-version": endpoint.api_version})
        if not urlsplit(endpoint.base_url).path.strip("/"):
            common["base_url"] += "/openai"
        return AzureOpenAI(**common, api_version=endpoint.api_version)
    raise TextualizeError(sentence)


def own_machine(endpoint: Endpoint) -> bool:
    """Whether the endpoint is a server of this machine, to which no proxy leads."""
    host = str(urlsplit(endpoint.base_url).hostname).rstrip(".")
    if host in ("localhost", "localhost.localdomain", socket.gethostname().lower()) or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def unreachable(error: BaseException, endpoint: Endpoint) -> str:
    """Why no connection came about and what to do, in one sentence, from what lies behind the package's error."""
    causes = list(_causes(error))
    told = " ".join(f"{type(cause).__name__} {cause}" for cause in causes)
    name = who(endpoint)
    if "CERTIFICATE_VERIFY_FAILED" in told or any(isinstance(c, ssl.SSLCertVerificationError) for c in causes):
        return (
            f"{name} has a certificate that is not trusted here; set SSL_CERT_FILE to the file of your network's "
            "certificates, or for a server of this machine write http:// in base_url."
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or "SSLError" in told or "[SSL" in told:
        return f"{name} does not speak https; write http:// in base_url, or check its port."
    if any(isinstance(cause, FileNotFoundError) for cause in causes):
        return _environment(error, endpoint)
    proxies = [] if own_machine(endpoint) else _set(_PROXIES[:3])
    if proxies:
        return (
            f"{name} cannot be reached through the proxy of {' and '.join(proxies)}; check the proxy, or put the host "
            "into NO_PROXY."
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes) or "getaddrinfo" in told:
        return f"{name} cannot be reached: no such host is known here; check base_url and the network."
    return f"{name} cannot be reached; start the server, or check base_url and the network."


def _classic(endpoint: Endpoint) -> bool:
    """Whether an address with a version is Azure's classic one, not its newer one nor that of its other models."""
    path = urlsplit(endpoint.base_url).path.rstrip("/")
    return not path or path.endswith("/openai") or "/openai/deployments" in path


class _Headers:
    """Leaves in a request what the profile asks for."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        own = urlsplit(endpoint.base_url)
        self.host = own.hostname
        self.openai = own.hostname == "openai.com" or str(own.hostname).endswith(".openai.com")

    def __call__(self, request: Any) -> None:
        same = request.url.host == self.host
        for name in list(request.headers):
            if name.lower() not in _HEADERS and not (self.openai and same):
                del request.headers[name]
        for name in ("authorization", "api-key"):
            request.headers.pop(name, None)
        if not same:  # led elsewhere: the key is not for that server
            return
        key = self.endpoint.key or "none"
        if self.endpoint.api_version:
            request.headers["api-key"] = key
        else:
            request.headers["authorization"] = f"Bearer {key}"


def _mark(response: Any) -> None:
    """Gives an error that came as a success its status, and says where asking again does not help."""
    if 300 <= response.status_code < 400:
        return
    response.read()
    inside = error_inside(response.text) if response.status_code < 300 else None
    if inside is not None:
        response.headers[INSIDE] = str(response.status_code)
        response.status_code = inside
    if response.status_code < 400:
        return
    refusal = read_refusal(response.status_code, response.text)
    retried = response.status_code in (408, 409, 429) or response.status_code >= 500  # by the package itself
    if refusal.again != retried:
        response.headers["x-should-retry"] = str(refusal.again).lower()


def _environment(error: BaseException, endpoint: Endpoint) -> str:
    """The sentence where the environment's proxies or certificates cannot be used; never their values."""
    gone = [name for name in _set(_CERTIFICATES) if not Path(os.environ[name]).exists()]
    if gone:
        return f"{' and '.join(gone)} of the environment names a file that is not there; correct it, or unset it."
    if isinstance(error, (OSError, ssl.SSLError)) and _set(_CERTIFICATES):
        named = " and ".join(_set(_CERTIFICATES))
        return f"{named} of the environment names no file of certificates; correct it, or unset it."
    named = " and ".join(_set(_PROXIES)) or "of the system"
    if isinstance(error, ImportError):
        return (
            f"The proxy {named} is a SOCKS proxy, for which the package socksio is missing; install it "
            "(python -m pip install socksio), or unset the proxy."
        )
    return (
        f"The proxy settings {named} cannot be used for {endpoint.host}; write them like http://host:port, or unset "
        "them."
    )


def _set(names: tuple[str, ...]) -> list[str]:
    """Those of the variables that are set, in the case in which they are."""
    return [
        spelt for name in names for spelt in [name if os.environ.get(name) else name.lower()] if os.environ.get(spelt)
    ]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
