"""A stand-in for Hugging Face's hub on the loopback interface: the few endpoints that its client uses here."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """Repositories in memory.

    Attributes:
        repositories: ``user/name`` -> commits, the oldest first, each path -> content.
        gated: repositories that refuse everybody.
        requests: method and path of each request, in order.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, list[dict[str, bytes]]] = {}
        self.private: set[str] = set()
        self.gated: set[str] = set()
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def put(self, repository: str, files: dict[str, bytes]) -> str:
        """Commit files on top of what is there; the commit's hash."""
        commits = self.repositories.setdefault(repository, [])
        commits.append({**(commits[-1] if commits else {}), **files})
        return self.commit_of(repository, len(commits) - 1)

    @staticmethod
    def commit_of(repository: str, number: int) -> str:
        return hashlib.sha1(f"{repository} {number}".encode()).hexdigest()

    def at(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Commit and files of a revision: ``main``, or a commit's hash."""
        commits = self.repositories[repository]
        for number, files in enumerate(commits):
            commit = self.commit_of(repository, number)
            if revision == commit or (revision == "main" and number == len(commits) - 1):
                return commit, files
        return None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def send(self, status: int, data: Any, **headers: str) -> None:
            self.answer(status, json.dumps(data).encode(), Content_Type="application/json", **headers)

        def refuse(self, status: int, code: str) -> None:
            self.send(status, {"error": code}, X_Error_Code=code, X_Error_Message=code)

        def do_HEAD(self) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/main\?expand=xetEnabled", self.path):
                return self.send(200, {"id": found[1], "xetEnabled": False})
            found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
            if not found or found[1] not in hub.repositories:
                return self.refuse(401, "RepoNotFound")
            if found[1] in hub.gated:
                return self.refuse(403, "GatedRepo")
            there = hub.at(found[1], found[2])
            if there is None:
                return self.refuse(404, "RevisionNotFound")
            commit, files = there
            if found[3] not in files:
                return self.refuse(404, "EntryNotFound")
            content = files[found[3]]
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            return self.answer(200, content, ETag=etag, X_Repo_Commit=commit, Accept_Ranges="none")

        do_GET = do_HEAD

        def do_POST(self) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            if self.path == "/api/repos/create":
                asked = json.loads(body)
                name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
                if name.startswith("others/"):
                    return self.refuse(403, "Forbidden")
                status = 409 if name in hub.repositories else 200
                hub.repositories.setdefault(name, [])
                if asked.get("private") or asked.get("visibility") == "private":
                    hub.private.add(name)
                return self.send(status, {"url": f"{hub.url}/{name}", "id": name})
            if self.path == "/api/validate-yaml":
                return self.send(200, {"errors": [], "warnings": []})
            found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", self.path)
            if not found:
                return self.refuse(404, "Unknown")
            if found[2] == "preupload":
                mode = {"uploadMode": "regular", "shouldIgnore": False}
                return self.send(200, {"files": [{"path": f["path"], **mode} for f in json.loads(body)["files"]]})
            lines = [json.loads(line) for line in body.splitlines()]
            sent = [line["value"] for line in lines if line["key"] == "file"]
            commit = hub.put(found[1], {file["path"]: base64.b64decode(file["content"]) for file in sent})
            url = f"{hub.url}/{found[1]}/commit/{commit}"
            return self.send(200, {"success": True, "commitOid": commit, "commitUrl": url})

    return Handler
