"""A running Oriel of a test's own, and a plain HTTP client to see by how things really are."""

import hashlib
import json
import os
import queue
import re
import sqlite3
import subprocess
import threading
import time
from collections import namedtuple
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("ORIEL_BINARY", ROOT / "target/debug/oriel"))

# Anything longer than this is stuck.
DEADLINE = 30

Caller = namedtuple("Caller", "name token project roles")

ADMIN = Caller("root", "token-of-root-in-site", "5173" * 8, ["admin"])
ALICE = Caller("alice", "token-of-alice-in-alpha", "a1fa" * 8, ["member"])
BOB = Caller("bob", "token-of-bob-in-beta", "be7a" * 8, ["member"])
CALLERS = [ADMIN, ALICE, BOB]

Answer = namedtuple("Answer", "status headers body")


def content(size, seed=0):
    """Bytes that are cheap to make, differ by seed, and begin like no disk format."""
    block = hashlib.sha512(b"%d" % seed).digest()
    return (block * (size // len(block) + 1))[:size]


class Api:
    """Requests as written down, nothing added but the length."""

    def __init__(self, url, token=None):
        self.url = url
        self.token = token

    def request(self, method, path, body=None, headers=None):
        """A body that is an iterator is sent in chunks, without a length."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("X-Auth-Token", self.token)
        if isinstance(body, (dict, list)):
            headers.setdefault("Content-Type", "application/json")
            body = json.dumps(body).encode()
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=DEADLINE)
        with closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

    def get(self, path, status=200):
        """The JSON at a path."""
        answer = self.request("GET", path)
        assert answer.status == status, answer
        return json.loads(answer.body)

    def create(self, data=None, **fields):
        """A record, and its bytes if there are any; gives the id."""
        fields = {"disk_format": "raw", "container_format": "bare", **fields}
        answer = self.request("POST", "/v2/images", fields)
        assert answer.status == 201, answer
        image = json.loads(answer.body)["id"]
        if data is not None:
            headers = {"Content-Type": "application/octet-stream"}
            answer = self.request("PUT", f"/v2/images/{image}/file", data, headers)
            assert answer.status == 204, answer
        return image

    def image(self, image):
        return self.get(f"/v2/images/{image}")

    def image_once(self, image, status):
        """The record once it has this status: an import goes on by itself."""
        until = time.monotonic() + DEADLINE
        while (record := self.image(image))["status"] != status:
            assert time.monotonic() < until, record
        return record

    def task_once_ended(self, image):
        """The newest task of an image once it has ended."""
        until = time.monotonic() + DEADLINE
        while (tasks := self.get(f"/v2/images/{image}/tasks")["tasks"])[0]["status"] in ("pending", "processing"):
            assert time.monotonic() < until, tasks
        return tasks[0]

    def data(self, image):
        answer = self.request("GET", f"/v2/images/{image}/file")
        assert answer.status in (200, 204), answer
        return answer.body

    def images(self, **query):
        """Every image a list gives, over all its pages."""
        path, found = "/v2/images?" + urlencode(query), []
        while path:
            page = self.get(path)
            found += page["images"]
            path = page.get("next")
        return found

    def named(self, name):
        """The one image of a name."""
        [image] = self.images(name=name)
        return image

    def is_there(self, image):
        return self.request("GET", f"/v2/images/{image}").status == 200


class Oriel:
    """`oriel serve` on a free port, with a store inside; keeps everything in one folder."""

    def __init__(self, folder, auth="none", tables="", catalog=None):
        """With a catalog of its own, unless `catalog` is a key of `[catalog]`."""
        self.folder = folder
        self.config = folder / "oriel.toml"
        self.log = []
        self.process = None
        tokens = "".join(
            f"[[token]]\nname = {c.name!r}\nsha256 = '{hashlib.sha256(c.token.encode()).hexdigest()}'\n"
            f"user_id = {c.name!r}\nproject_id = {c.project!r}\nroles = {c.roles!r}\n"
            for c in CALLERS
        )
        (folder / "tokens.toml").write_text(tokens)
        if "[store." not in tables:
            tables += '\n[store.main]\nendpoint = "embedded"\n'
        if "[embedded]" not in tables:
            tables += f'\n[embedded]\ndata_dir = "{folder}/store"\n'
        self.config.write_text(
            f"""
            auth = "{auth}"
            default_store = "main"
            [server]
            listen = "127.0.0.1:0"
            drain_delay = "0s"
            drain_grace = "1s"
            [tokens]
            file = "{folder}/tokens.toml"
            [catalog]
            {catalog or f'path = "{folder}/catalog.sqlite"'}
            [metrics]
            listen = "off"
            {tables}
            """
        )
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "serve", "--config", self.config],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = queue.Queue()
        self.reading = threading.Thread(target=self._read, args=(self.process.stderr, said))
        self.reading.start()
        address = said.get(timeout=DEADLINE)
        assert address, "Oriel does not start:\n" + "\n".join(self.log)
        self.url = f"http://{address}"
        self.api = Api(self.url)

    def _read(self, stderr, said):
        for line in stderr:
            self.log.append(line.rstrip())
            if found := re.search(r"listen=(\S+)", line):
                said.put(found[1])
        said.put(None)
        stderr.close()

    def stop(self):
        """Ends it as an operator does, and looks for faults of its own in the log."""
        self.process.terminate()
        try:
            status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.reading.join()
        assert status == 0, f"Oriel ended with {status}:\n" + "\n".join(self.log)
        faults = [line for line in self.log if " ERROR " in line or "panicked" in line]
        assert not faults, "\n".join(faults)

    def change_catalog(self, statement):
        """Writes to the catalog behind its back; gives how many rows."""
        self.stop()
        with closing(sqlite3.connect(self.folder / "catalog.sqlite")) as catalog, catalog:
            changed = catalog.execute(statement).rowcount
        self.start()
        return changed

    def as_(self, caller):
        """A plain client with a caller's token."""
        return Api(self.url, caller.token)
