"""A W&B server on loopback, as far as ``wandb`` 0.31 asks of one: it keeps what it is sent, and fails as it is told.

with Server() as server:                 # or Server(fails=lambda path: 429), Server(key="...")
    environment = server.environment     # WANDB_BASE_URL and WANDB_API_KEY
    ...
    server.runs["RUN_ID"].rows           # as they were logged; also name, group, config, summary, files

read(path)                               # the same of an offline file
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

KEY = "0123456789" * 4
ENTITY = "tester"


@dataclass
class Run:
    """What was sent of one run."""

    name: str = ""
    group: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: dict[int, dict[str, Any]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    sweep: str = ""
    finished: bool = False

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What was logged, in order."""
        return [self.history[offset] for offset in sorted(self.history)]


class Server:
    """``fails``: the status to answer a path with, or 0; ``key``: the one key that is known; ``hang``: seconds before any answer.

    ``sweep``: the YAML of a W&B sweep, and ``trials``: the values by key of each trial that its agents are given, last first.
    """

    def __init__(self, fails: Callable[[str], int] = lambda path: 0, key: str = KEY, hang: float = 0.0) -> None:
        self.fails, self.key, self.hang = fails, key, hang
        self.sweep, self.trials = "", list[dict[str, Any]]()
        self.runs: dict[str, Run] = {}
        self.others = Run()
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: Any) -> None:
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                time.sleep(server.hang)
                status, reply = server.reply(self.path, body, self.headers.get("Authorization") or "")
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = answer

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *arguments: Any) -> None:
                pass  # a client that was killed

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self) -> Server:
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    @property
    def environment(self) -> dict[str, str]:
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY}

    def reply(self, path: str, body: bytes, authorization: str) -> tuple[int, Any]:
        with self.lock:
            if status := self.fails(path):
                return status, {"errors": [{"message": f"this server answers {status}"}]}
            if path.startswith("/graphql"):
                if base64.b64decode(authorization.removeprefix("Basic ")).decode().removeprefix("api:") != self.key:
                    return 401, {"errors": [{"message": "user is not logged in"}]}
                asked = json.loads(body)
                return 200, self.graphql(asked.get("operationName") or asked["query"], asked.get("variables") or {})
            if path.endswith("/file_stream"):
                return 200, self.stream(self.runs[path.split("/")[-2]], json.loads(body))
            if path.startswith("/upload/"):
                _, _, owner, name = path.split("/", 3)
                self.runs.get(owner, self.others).files[name] = body
                return 200, {}
            return 200, {}

    def stream(self, run: Run, sent: dict[str, Any]) -> dict[str, Any]:
        for name, part in (sent.get("files") or {}).items():
            rows = [json.loads(row) for row in part["content"]] if name.endswith((".json", ".jsonl")) else []
            if name == "wandb-history.jsonl":
                run.history.update({part["offset"] + i: row for i, row in enumerate(rows)})
            elif name == "wandb-summary.json":
                run.summary = rows[-1]
        run.finished = run.finished or bool(sent.get("complete"))
        return {}

    def graphql(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        if "UpsertBucket" in operation:
            if given["entity"] not in (None, "", ENTITY):
                return {"data": None, "errors": [{"message": f"entity {given['entity']} not found"}]}
            run = self.runs.setdefault(given["name"], Run())
            run.name, run.group = given["displayName"] or run.name, given["groupName"] or run.group
            run.sweep = given["sweep"] or run.sweep
            run.config |= {key: entry.get("value") for key, entry in json.loads(given["config"] or "{}").items()}
            project = {"id": "p", "name": given["project"], "entity": {"id": "e", "name": ENTITY}}
            bucket = {
                "id": given["name"], "name": given["name"], "displayName": run.name, "description": "", "config": "{}", "sweepName": None,
                "project": project, "historyLineCount": len(run.history),
            }  # fmt: skip
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": not run.history}}}
        if "Viewer" in operation:
            teams = {"edges": [{"node": {"name": ENTITY}}]}
            return {
                "data": {
                    "viewer": {"id": "u", "entity": ENTITY, "username": ENTITY, "email": "t@example.org", "flags": "{}", "teams": teams}
                }
            }
        if "CreateRunFiles" in operation:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload/{given['run']}/{name}"} for name in given["files"]]
            return {"data": {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}}
        if "CreateArtifactManifest" in operation:
            file = {
                "id": "m",
                "name": "manifest",
                "displayName": "manifest",
                "uploadUrl": f"{self.url}/upload/-/manifest",
                "uploadHeaders": [],
            }
            return {"data": {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}}
        if "CreateArtifactFiles" in operation:
            nodes = [
                {
                    "id": "f", "name": spec["name"], "displayName": spec["name"], "uploadUrl": f"{self.url}/upload/{spec['artifactID']}/{spec['name']}",
                    "uploadHeaders": [], "uploadMultipartUrls": None, "storagePath": spec["name"], "artifact": {"id": spec["artifactID"]},
                }
                for spec in given["input"]["artifactFiles"]
            ]  # fmt: skip
            return {"data": {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}}
        if "CreateArtifact" in operation:
            name = given["input"]["artifactCollectionName"]
            self.artifacts[name] = {
                "type": given["input"]["artifactTypeName"],
                "run": given["input"]["runName"],
                "id": f"artifact-{len(self.artifacts)}",
            }
            artifact = {"id": self.artifacts[name]["id"], "state": "PENDING", "artifactSequence": {"id": "s", "latestArtifact": None}}
            return {"data": {"createArtifact": {"artifact": artifact}}}
        if "SweepWithRuns" in operation:
            return {
                "data": {
                    "project": {
                        "sweep": {"id": "s", "name": given["sweep"], "config": self.sweep, "state": "RUNNING", "runs": {"edges": []}}
                    }
                }
            }
        if "createAgent" in operation:
            return {"data": {"createAgent": {"agent": {"id": "a"}}}}
        if "agentHeartbeat" in operation:
            orders = (
                [
                    {
                        "type": "run",
                        "run_id": f"trial{len(self.trials)}",
                        "program": yaml.safe_load(self.sweep)["program"],
                        "args": self.trials.pop(),
                    }
                ]
                if self.trials
                else []
            )
            return {"data": {"agentHeartbeat": {"agent": {"id": "a"}, "commands": json.dumps(orders)}}}
        return {"data": {}}


def read(path: Path) -> Run:
    """The run in an offline ``.wandb`` file: LevelDB's log framing around protobuf records."""
    from wandb.proto import wandb_internal_pb2

    content, run = path.read_bytes(), Run()
    position, partial = 7, b""
    while position + 7 <= len(content):
        room = 32768 - position % 32768
        if room < 7:
            position += room
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        partial += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(partial)
            partial = b""
            if record.HasField("history"):
                row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
                run.history[len(run.history)] = row
            if record.HasField("summary"):
                run.summary |= {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.summary.update}
            if record.HasField("run"):
                run.group, run.name = record.run.run_group, record.run.display_name
            run.finished = run.finished or record.HasField("exit")
    return run
