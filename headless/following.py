"""A queued graph on its way: the server's messages as reports, and what the graph leaves behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .errors import HeadlessError


class ClientError(HeadlessError):
    """The server cannot be reached, refused the graph, or failed while running it."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        ahead: how many jobs the server does first; then the other attributes are empty.
        node: the node's id in the graph; title: what a person calls it.
        step, steps: how far it is; 0 of 0 for a node that counts no steps.
        seconds: time spent in this node so far.
        done: whether the node has ended with this report.
    """

    node: str
    title: str
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    done: bool = False
    ahead: int = 0


@dataclass(frozen=True)
class Output:
    """A file that a node made: the node's id and title, and what the server calls the file."""

    node: str
    title: str
    filename: str
    subfolder: str
    type: str


@dataclass
class Run:
    """What a graph left behind: files, words shown by nodes (node id to strings), seconds by node id."""

    outputs: list[Output] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class Server(Protocol):
    """What a follower asks the server itself."""

    def finished(self, prompt: str) -> dict[str, Any] | None:
        """The record of a run that has ended, else None."""

    def ahead(self, prompt: str) -> int:
        """How many jobs it does before this one."""


def websocket_client() -> Any:
    """The module by which a run is followed.

    Raises:
        ClientError: it is not installed.
    """
    try:
        import websocket
    except ImportError as error:
        raise ClientError(
            "The client follows a run through websocket-client, which is not here; `pip install websocket-client`."
        ) from error
    return websocket


class Follower:
    """Turns the server's messages about one run into reports, until it ends."""

    def __init__(self, prompt: str, titles: dict[str, str], run: Run, report: Callable[[Progress], None]) -> None:
        self.prompt, self.titles, self.run, self.report = prompt, titles, run, report
        self.node: str | None = None
        self.ahead = 0
        self.start = time.monotonic()

    def follow(self, connection: Any, server: Server) -> None:
        """Reports until the run has ended.

        Raises:
            ClientError: it failed, or somebody stopped it.
        """
        websocket = websocket_client()
        while True:
            try:
                message = connection.recv()
            except websocket.WebSocketTimeoutException:
                # A long silent step, or a message that was lost: the server's record tells which.
                if server.finished(self.prompt):
                    return self._leave()
                continue
            if not isinstance(message, str) or not message:
                continue
            told = json.loads(message)
            if told.get("type") == "status" and self.node is None:
                self._wait(server.ahead(self.prompt))
            if self._ends(told):
                return None

    def _wait(self, ahead: int) -> None:
        if ahead not in (0, self.ahead):
            self.report(Progress("", "", ahead=ahead))
        self.ahead = ahead

    def _ends(self, message: dict[str, Any]) -> bool:
        kind, data = message.get("type"), message.get("data") or {}
        if data.get("prompt_id") != self.prompt:
            return False
        if kind == "executing" and data.get("node") is not None:
            self._leave()
            self.node, self.start = data["node"], time.monotonic()
            self._tell()
        elif kind == "progress" and data.get("node") == self.node:
            self._tell(step=int(data["value"]), steps=int(data["max"]))
        elif kind == "execution_error":
            name = self.titles.get(data.get("node_id", ""), data.get("node_type", "?"))
            raise ClientError(f"{name} failed: {str(data.get('exception_message', '')).strip()}")
        elif kind == "execution_interrupted":
            raise ClientError("Someone interrupted the run on the server; queue it again.")
        elif kind == "execution_success" or (kind == "executing" and data.get("node") is None):
            self._leave()
            return True
        return False

    def _leave(self) -> None:
        if self.node is not None:
            self.run.seconds[self.node] = time.monotonic() - self.start
            self._tell(done=True)
            self.node = None

    def _tell(self, **more: Any) -> None:
        node = self.node or ""
        self.report(Progress(node, self.titles.get(node, node), seconds=time.monotonic() - self.start, **more))
