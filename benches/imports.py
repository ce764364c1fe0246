#!/usr/bin/env python3
"""What imports cost, beside what does the same: web-download and an upload of the same bytes, packed data and the `gzip` and `xz`
commands, staged data that becomes an image's, and copies between two buckets of one server.

    benches/imports.py [ROUNDS]       3

Needs the release build, curl, gzip and xz. The store is a second Oriel's, so its cost is not counted; CPU is that of the process under
test, user and system. Medians of the rounds, which go through all rows in turn. Writes a Markdown table.
"""

import http.client
import http.server
import json
import multiprocessing
import os
import random
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ORIEL = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "oriel"
GIB = 1 << 30
PLAIN, PACKED = GIB, GIB // 4


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nobody reads it."""


def serve_files(folder, port):
    os.chdir(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    port.send(server.server_address[1])
    server.serve_forever()


class Oriel:
    """`oriel serve` with these tables; ends with the `with`."""

    def __init__(self, folder, tables):
        folder.mkdir()
        config = folder / "oriel.toml"
        config.write_text(
            f'auth = "none"\ndefault_store = "main"\n[server]\nlisten = "127.0.0.1:0"\ndrain_delay = "0s"\n'
            f'[metrics]\nlisten = "off"\n[catalog]\npath = "{folder}/catalog.sqlite"\n{tables}'
        )
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen([ORIEL, "serve", "--config", config], stderr=self.log, stdout=self.log)
        until = time.monotonic() + 20
        while not (found := re.search(r"listen=127\.0\.0\.1:(\d+)", self.said("listen="))):
            if time.monotonic() > until or self.process.poll() is not None:
                raise SystemExit(Path(self.log.name).read_text())
            time.sleep(0.05)
        self.port = int(found[1])

    def said(self, word):
        lines = Path(self.log.name).read_text().splitlines()
        return next((line for line in lines if word in line), "")

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def send(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        if isinstance(body, dict):
            body, headers = json.dumps(body), {"Content-Type": "application/json"}
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {data[:300]}")
        return json.loads(data) if data else None

    def create(self):
        return self.send("POST", "/v2/images", {"disk_format": "raw", "container_format": "bare"})["id"]

    def put(self, image, kind, file):
        url = f"http://127.0.0.1:{self.port}/v2/images/{image}/{kind}"
        command = ["curl", "-sf", "-T", file, "-H", "Content-Type: application/octet-stream", url]
        subprocess.run(command, check=True)

    def imported(self, image, method, **more):
        self.send("POST", f"/v2/images/{image}/import", {"method": method, **more})
        while True:
            tasks = self.send("GET", f"/v2/images/{image}/tasks")["tasks"]
            if tasks[0]["status"] not in ("pending", "processing"):
                if tasks[0]["status"] != "success":
                    raise SystemExit(tasks[0])
                return
            time.sleep(0.005)


def measured(oriel, work):
    """Seconds, and CPU seconds of the process."""
    cpu, begun = oriel.cpu(), time.monotonic()
    work()
    wall = time.monotonic() - begun
    return wall, oriel.cpu() - cpu


def command(*words):
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with open(os.devnull, "wb") as nowhere:
        subprocess.run(words, check=True, stdout=nowhere)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - begun, cpu


def rows(oriel, url, folder):
    def upload():
        oriel.put(oriel.create(), "file", folder / "plain")

    def from_web(name):
        return lambda: oriel.imported(oriel.create(), {"name": "web-download", "uri": f"{url}/{name}"})

    staged = oriel.create()
    oriel.put(staged, "stage", folder / "plain")
    yield "upload, 1 GiB", measured(oriel, upload)
    yield "web-download, 1 GiB", measured(oriel, from_web("plain"))
    yield "glance-direct of staged data, 1 GiB", measured(oriel, lambda: oriel.imported(staged, {"name": "glance-direct"}))
    copy = {"name": "copy-image"}
    yield "copy-image in one server, 1 GiB", measured(oriel, lambda: oriel.imported(staged, copy, stores=["second"]))
    yield "upload of the unpacked, 256 MiB", measured(oriel, lambda: oriel.put(oriel.create(), "file", folder / "unpacked"))
    for kind, name in (("gzip", "packed.gz"), ("xz", "packed.xz")):
        yield f"web-download of {kind}, 256 MiB", measured(oriel, from_web(name))
        yield f"{kind} -dc, 256 MiB", command(kind, "-dc", folder / name)
    for image in oriel.send("GET", "/v2/images?limit=100")["images"]:
        oriel.send("DELETE", f"/v2/images/{image['id']}")


def prepare(folder):
    """A GiB of noise, and programs of this machine, plain and packed."""
    with open(folder / "plain", "wb") as plain:
        for _ in range(PLAIN >> 20):
            plain.write(random.randbytes(1 << 20))
    left = PACKED
    with open(folder / "unpacked", "wb") as unpacked:
        for path in sorted(Path("/usr/lib").rglob("*")):
            if left and path.is_file() and not path.is_symlink():
                left -= unpacked.write(path.read_bytes()[:left])
    for kind, name in (("gzip", "packed.gz"), ("xz", "packed.xz")):
        with open(folder / name, "wb") as packed:
            subprocess.run([kind, "-6", "-c", folder / "unpacked"], check=True, stdout=packed)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory(dir=os.environ.get("ORIEL_BENCH_DIR")) as name:
        folder = Path(name)
        files = folder / "files"
        files.mkdir()
        prepare(files)
        ours, theirs = multiprocessing.Pipe()
        web = multiprocessing.Process(target=serve_files, args=(files, theirs), daemon=True)
        web.start()
        port = ours.recv()
        s3 = free_port()
        inside = f'[embedded]\ndata_dir = "{folder}/data"\nlisten = "127.0.0.1:{s3}"\n'
        store = Oriel(folder / "store", f'[store.main]\nendpoint = "embedded"\n{inside}')
        access, secret = keys(folder / "data")
        stores = "".join(
            f'[store.{name}]\nendpoint = "http://127.0.0.1:{s3}"\nbucket = "{name}"\nprofile = "embedded"\n'
            f'create_bucket = true\naccess_key = "{access}"\nsecret_key = "{secret}"\n'
            for name in ("main", "second")
        )
        imports = f'[import]\nallow_private_addresses = true\nallowed_ports = [{port}]\nplugins = ["image_decompression"]\n'
        oriel = Oriel(folder / "oriel", imports + stores)
        figures = {}
        for _ in range(rounds):
            for row, figure in rows(oriel, f"http://127.0.0.1:{port}", files):
                figures.setdefault(row, []).append(figure)
        oriel.stop()
        store.stop()
        web.terminate()
    print("| what | seconds | CPU seconds |\n| --- | --- | --- |")
    for row, found in figures.items():
        wall, cpu = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"| {row} | {wall:.2f} | {cpu:.2f} |")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def keys(folder):
    """What the store inside has made for itself."""
    [file] = [path for path in folder.rglob("*credentials*") if path.is_file()]
    made = json.loads(file.read_text())
    return made["access_key"], made["secret_key"]


if __name__ == "__main__":
    main()
