"""A hub on this machine: repositories with commits and branches, for huggingface_hub to ask."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_right"  # noqa: S105  of the one user who may write here

Files = dict[str, bytes]


@dataclass
class Repository:
    """Files by commit, and the commit of each branch."""

    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, branch: str = "main") -> str:
        """Add files to a branch; gives the commit."""
        before = self.commits.get(self.branches.get(branch, ""), {})
        sha = hashlib.sha1(f"{len(self.commits)}{branch}".encode()).hexdigest()  # noqa: S324
        self.commits[sha] = {**before, **files}
        self.branches[branch] = sha
        return sha


@dataclass
class LoopbackHub:
    """The hub; ``asked`` holds every request."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def put(self, repo: str, files: Files, branch: str = "main") -> str:
        """Add files to a repository, as somebody else would; gives the commit."""
        return self.repositories.setdefault(repo, Repository()).commit(files, branch)


Answer = tuple[int, dict[str, str], bytes]


def as_json(content: Any, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


def refusal(code: str, status: int = 404, **headers: str) -> Answer:
    return status, {"X-Error-Code": code, "X-Error-Message": code, **headers}, b"{}"


def answer(hub: LoopbackHub, method: str, path: str, body: bytes, *, may_write: bool) -> Answer:
    if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
        return _file(hub, *map(unquote, found.groups()))
    if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(?:tree|revision)/([^/]+)/?", path):
        return _listing(hub, *map(unquote, found.groups()), tree="/tree/" in path)
    if method == "POST" and path == "/api/validate-yaml":
        return as_json({"errors": [], "warnings": []})
    if method != "POST":
        return refusal("RepoNotFound")
    if not may_write:
        return refusal("Unauthorized", 401)
    if path == "/api/repos/create":
        asked = json.loads(body)
        repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
        status = 409 if repo in hub.repositories else 200
        if status == 200:
            hub.put(repo, {".gitattributes": b""})
        return as_json({"url": f"{hub.address}/{repo}", "id": repo, "error": "exists"}, status)
    if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(\w+)/([^/]+)", path):
        return _write(hub, *map(unquote, found.groups()), body=body)
    return refusal("NotFound")


def _state(hub: LoopbackHub, repo: str, revision: str) -> tuple[str, Files] | Answer:
    if repo not in hub.repositories:
        return refusal("RepoNotFound", 401)
    kept = hub.repositories[repo]
    commit = kept.branches.get(revision, revision)
    if commit not in kept.commits:
        return refusal("RevisionNotFound")
    return commit, kept.commits[commit]


def _file(hub: LoopbackHub, repo: str, revision: str, name: str) -> Answer:
    state = _state(hub, repo, revision)
    if len(state) == 3:
        return state
    commit, files = state
    if name not in files:
        return refusal("EntryNotFound", **{"X-Repo-Commit": commit})
    digest = hashlib.sha256(files[name]).hexdigest()
    return 200, {"X-Repo-Commit": commit, "ETag": f'"{digest}"'}, files[name]


def _listing(hub: LoopbackHub, repo: str, revision: str, *, tree: bool) -> Answer:
    state = _state(hub, repo, revision)
    if len(state) == 3:
        return state
    commit, files = state
    if tree:
        return as_json(
            [
                {"type": "file", "path": name, "size": len(content), "oid": commit}
                for name, content in files.items()
            ]
        )
    return as_json({"id": repo, "sha": commit, "siblings": [{"rfilename": n} for n in files]})


def _write(hub: LoopbackHub, repo: str, what: str, branch: str, *, body: bytes) -> Answer:
    if what == "branch":
        kept = hub.repositories[repo]
        if branch in kept.branches:
            return refusal("Conflict", 409)
        kept.branches[branch] = kept.branches["main"]
        return as_json({})
    if what == "preupload":
        names = [file["path"] for file in json.loads(body)["files"]]
        modes = {"uploadMode": "regular", "shouldIgnore": False}
        return as_json({"files": [{"path": name, **modes} for name in names]})
    if what != "commit":
        return refusal("NotFound")
    lines = [json.loads(line) for line in body.decode().splitlines() if line]
    files = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"])
        for line in lines
        if line["key"] == "file"
    }
    sha = hub.put(repo, files, branch)
    return as_json(
        {"success": True, "commitOid": sha, "commitUrl": f"{hub.address}/{repo}/commit/{sha}"}
    )


@contextmanager
def serve() -> Iterator[LoopbackHub]:
    """A hub that answers until the block ends."""
    hub = LoopbackHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            hub.asked.append(f"{self.command} {path}")
            may_write = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            status, headers, content = answer(hub, self.command, path, body, may_write=may_write)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = handle_any  # noqa: N815  the server's names

        def log_message(self, *_arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
