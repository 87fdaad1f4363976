"""Queues a graph on any ComfyUI server, follows it, and brings its results home.

    python -m headless.client headless/sedic_full.json --server http://127.0.0.1:8188 --image photo.png -o out

or from Python, ``Client(url).run(json.load(open("headless/sedic_full.json")), on_progress=print)``. Graphs are in
ComfyUI's API form (Workflow, Export (API) in its menu). It needs Python and ``websocket-client``, nothing of this pack.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .errors import HeadlessError
from .following import ClientError, Follower, Output, Progress, Run, websocket_client
from .graph import loading_inputs, read_workflow, set_input, title, why_invalid

_JSON = {"Content-Type": "application/json"}


class Client:
    """Talks to one ComfyUI server."""

    def __init__(self, server: str = "http://127.0.0.1:8188", timeout: float = 30) -> None:
        """Args: ``server``, its URL; ``timeout``, seconds that it may take to answer a request."""
        self.server = server.rstrip("/")
        if urllib.parse.urlsplit(self.server).scheme not in ("http", "https"):
            raise ClientError(f"The server is {server!r}; give a URL such as http://127.0.0.1:8188.")
        self.timeout = timeout
        self.id = uuid.uuid4().hex

    def object_info(self) -> dict[str, Any]:
        """Every node that the server knows, with inputs and outputs."""
        return json.loads(self._request("/object_info"))

    def version(self) -> str:
        """The server's ComfyUI version."""
        return json.loads(self._request("/system_stats"))["system"]["comfyui_version"]

    def upload(self, path: Path) -> str:
        """Puts a file into the server's input folder; returns the name by which a node finds it.

        Raises:
            ClientError: the file cannot be read, or the server does not take it.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ClientError(f"{path} cannot be read ({error.strerror}); name a file that is there.") from error
        boundary = uuid.uuid4().hex
        name = path.name.replace('"', "_")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        answer = json.loads(
            self._request("/upload/image", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        )
        return f"{answer['subfolder']}/{answer['name']}" if answer.get("subfolder") else answer["name"]

    def run(self, workflow: dict[str, Any], on_progress: Callable[[Progress], None] | None = None) -> Run:
        """Queues ``workflow`` and returns when it has run.

        Args:
            workflow: a graph in API form.
            on_progress: called at each node's start, step and end, and while other jobs are ahead.

        Raises:
            ClientError: the server is gone, finds the graph invalid, or a node fails; names the node.
        """
        websocket = websocket_client()
        titles = {node: title(workflow, node) for node in workflow}
        address = self.server.replace("http", "ws", 1) + f"/ws?clientId={self.id}"
        try:
            # Connected before queueing, so that no report is missed.
            connection = websocket.create_connection(address, timeout=self.timeout)
        except (OSError, websocket.WebSocketException) as error:
            raise self._dead(error) from error
        run = Run()
        try:
            prompt = self._queue(workflow, titles)
            Follower(prompt, titles, run, on_progress or (lambda _: None)).follow(connection, self)
        except websocket.WebSocketException as error:
            raise ClientError(f"The server {self.server} went away during the run ({error}); see its log.") from error
        finally:
            connection.close()
        self._collect(prompt, titles, run)
        return run

    def download(self, output: Output, path: Path) -> Path:
        """Writes one of a run's files to ``path``, making its folder.

        Raises:
            ClientError: the server has it no more, or it cannot be written.
        """
        query = {"filename": output.filename, "subfolder": output.subfolder, "type": output.type}
        data = self._request("/view?" + urllib.parse.urlencode(query))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise ClientError(f"{path} cannot be written ({error.strerror}); choose another folder.") from error
        return path

    def finished(self, prompt: str) -> dict[str, Any] | None:
        """The server's record of a run that has ended, else None."""
        return json.loads(self._request(f"/history/{prompt}")).get(prompt)

    def ahead(self, prompt: str) -> int:
        """How many jobs the server does before this one; 0 when it has begun or ended."""
        queue = json.loads(self._request("/queue"))
        waiting = [(entry[0], entry[1]) for entry in queue.get("queue_pending", [])]
        own = next((number for number, job in waiting if job == prompt), None)
        if own is None:
            return 0
        return len(queue.get("queue_running", [])) + sum(number < own for number, _ in waiting)

    def _queue(self, workflow: dict[str, Any], titles: dict[str, str]) -> str:
        body = json.dumps({"prompt": workflow, "client_id": self.id}).encode()
        try:
            said = self._request("/prompt", body, _JSON)
        except _Refused as error:
            raise ClientError(why_invalid(error.body, titles)) from error
        answer = json.loads(said)
        if answer.get("node_errors"):  # of some outputs; the server would run the others and call it a success
            self._request("/queue", json.dumps({"delete": [answer["prompt_id"]]}).encode(), _JSON)
            raise ClientError(why_invalid(said, titles))
        return answer["prompt_id"]

    def _collect(self, prompt: str, titles: dict[str, str], run: Run) -> None:
        end = time.monotonic() + self.timeout
        # The server reports success a moment before it files its record.
        while (record := self.finished(prompt)) is None:
            if time.monotonic() > end:
                raise ClientError(f"The server {self.server} has no record of the run; see its log.")
            time.sleep(0.05)
        for node, shown in record.get("outputs", {}).items():
            for values in shown.values():
                for value in values if isinstance(values, list) else []:
                    if isinstance(value, dict) and "filename" in value:
                        place = value.get("subfolder", ""), value.get("type", "output")
                        run.outputs.append(Output(node, titles.get(node, node), value["filename"], *place))
                    elif isinstance(value, str):
                        run.texts.setdefault(node, []).append(value)

    def _request(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        request = urllib.request.Request(self.server + path, body, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise _Refused(self.server, path, error.code, error.read()) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._dead(error) from error

    def _dead(self, error: Exception) -> ClientError:
        reason = getattr(error, "reason", error)
        return ClientError(f"No ComfyUI answers at {self.server} ({reason}); start it there or give its URL.")


class _Refused(ClientError):
    def __init__(self, server: str, path: str, status: int, body: bytes) -> None:
        super().__init__(f"{server} answered {path.split('?')[0]} with HTTP {status}; is it a ComfyUI, and current?")
        self.body = body


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m headless.client", description=__doc__.split("\n")[0])
    parser.add_argument("workflow", type=Path, help="a graph in API form")
    parser.add_argument("--server", default="http://127.0.0.1:8188", help="URL of the ComfyUI (default %(default)s)")
    parser.add_argument(
        "--image", action="append", default=[], metavar="[NODE=]FILE", help="upload into a loading node"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NODE.INPUT=VALUE", help="set a node's input")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where the results go")
    options = parser.parse_args(arguments)
    try:
        workflow = read_workflow(options.workflow)
        client = Client(options.server)
        for assignment in options.set:
            set_input(workflow, assignment)
        for node, key, path in loading_inputs(workflow, options.image):
            workflow[node]["inputs"][key] = client.upload(path)
        run = client.run(workflow, print_progress)
        for output in run.outputs:
            print(client.download(output, free_path(options.output, output)))
    except HeadlessError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def free_path(folder: Path, output: Output) -> Path:
    """Where a result goes: the title of its node, with a number behind it where that is taken already."""
    stem = re.sub(r"[^\w\-. ()]+", "_", output.title).strip(" .") or output.node
    suffix = Path(output.filename).suffix
    names = (f"{stem}{f' {number}' if number > 1 else ''}{suffix}" for number in itertools.count(1))
    return next(folder / name for name in names if not (folder / name).exists())


def print_progress(progress: Progress) -> None:
    """One line when a node has ended, and one for every change of the queue ahead."""
    if progress.ahead:
        print(f"Waiting: {progress.ahead} job{'s' * (progress.ahead > 1)} ahead", flush=True)
    if progress.done:
        print(f"{progress.seconds:7.1f} s  {progress.title}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
