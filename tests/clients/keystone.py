"""As much of Keystone as the clients need to log in and to look a project up.

It hands out the tokens of Oriel's token file, so that both know the same callers; Oriel does not ask it.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from oriel import CALLERS

PASSWORD = "sesame"
DOMAIN = {"id": "default", "name": "Default"}


class Keystone:
    def __init__(self, image_url):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            keystone = self

            def do_GET(self):
                self.keystone.get(self)

            def do_POST(self):
                self.keystone.log_in(self)

            def log_message(self, *_):
                pass

        self.image_url = image_url
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d/v3" % self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def get(self, request):
        url = urlsplit(request.path)
        token = request.headers.get("X-Auth-Token")
        if url.path.rstrip("/") in ("", "/v3"):
            version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": self.url}]}
            if url.path.strip("/"):
                answer(request, 200, {"version": version})
            else:
                answer(request, 300, {"versions": {"values": [version]}})
        elif token not in {c.token for c in CALLERS}:
            answer(request, 401, {"error": {"code": 401, "message": "Who are you?"}})
        elif url.path == "/v3/projects":
            wanted = parse_qs(url.query).get("name", [None])[0]
            answer(request, 200, {"projects": [p for p in projects() if wanted in (None, p["name"])]})
        else:
            wanted = url.path.removeprefix("/v3/projects/")
            found = [p for p in projects() if p["id"] == wanted]
            if found:
                answer(request, 200, {"project": found[0]})
            else:
                answer(request, 404, {"error": {"code": 404, "message": f"No {url.path} here."}})

    def log_in(self, request):
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))["auth"]
        user = body["identity"]["password"]["user"]
        caller = next((c for c in CALLERS if c.name == user["name"]), None)
        if caller is None or user["password"] != PASSWORD:
            answer(request, 401, {"error": {"code": 401, "message": "Who are you?"}})
            return
        endpoints = {"image": self.image_url, "identity": self.url}
        token = {
            "methods": ["password"],
            "user": {"id": caller.name, "name": caller.name, "domain": DOMAIN},
            "project": {"id": caller.project, "name": project_name(caller), "domain": DOMAIN},
            "roles": [{"id": role, "name": role} for role in caller.roles],
            "issued_at": "2020-01-01T00:00:00.000000Z",
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "catalog": [
                {
                    "id": kind,
                    "type": kind,
                    "name": kind,
                    "endpoints": [{"id": kind, "interface": "public", "region": "R", "region_id": "R", "url": url}],
                }
                for kind, url in endpoints.items()
            ],
        }
        answer(request, 201, {"token": token}, {"X-Subject-Token": caller.token})


def project_name(caller):
    return f"project of {caller.name}"


def projects():
    return [{"id": c.project, "name": project_name(c), "domain_id": "default", "enabled": True} for c in CALLERS]


def answer(request, status, body, headers=None):
    body = json.dumps(body).encode()
    request.send_response(status)
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)
