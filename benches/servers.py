#!/usr/bin/env python3
"""What several servers cost: reads of one record and writes, with the catalog in SQLite, and in PostgreSQL with one, two and three
servers.

    benches/servers.py [ROUNDS [STORE]]       3 null

Needs the release build and wrk; starts a PostgreSQL that waits for the disk, and the store: `null`, the one of the bench (`cargo bench
--bench transfer --no-run` builds it), which costs next to nothing, or `seaweedfs`, the tests'. Everything has the same two cores. Reads: wrk with 32 connections on the first server. Writes: the time of one after the other from one client, to the servers in
turn; images a second: 16 processes that each create one and upload 1 KiB to it, to the servers in turn. Medians of the rounds,
which go through all rows in turn. Writes a Markdown table.
"""
import http.client
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ORIEL = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "oriel"
NULL_STORE = ORIEL.parent / "deps"
ENVIRONMENT = {**os.environ, "ORIEL_POSTGRES_FSYNC": "on"}
ROWS = [("SQLite", 1), ("PostgreSQL", 1), ("PostgreSQL", 2), ("PostgreSQL", 3)]
WRITES, CLIENTS, SECONDS = 200, 16, 6
RECORD = json.dumps({"name": "bench", "disk_format": "raw", "container_format": "bare", "n": "0"})
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
OCTETS = {"Content-Type": "application/octet-stream"}


def starter(name, command):
    script = ROOT / "tests" / ("postgres" if name == "postgres" else "stores") / f"{name}.sh"
    out = subprocess.run([script, command], env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


class NullStore:
    """It ends with its standard input."""

    def __init__(self):
        built = [path for path in NULL_STORE.glob("transfer-*") if not path.suffix]
        if not built:
            raise SystemExit("no null store: cargo bench --bench transfer --no-run")
        program = max(built, key=lambda path: path.stat().st_mtime)
        self.process = subprocess.Popen([program, "null-store"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        address = self.process.stdout.readline().strip()
        self.settings = {"S3_ENDPOINT": f"http://{address}", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class SeaweedFS:
    def __init__(self):
        starter("seaweedfs", "start")
        self.settings = starter("seaweedfs", "env")

    def stop(self):
        starter("seaweedfs", "stop")


STORES = {"null": NullStore, "seaweedfs": SeaweedFS}


class Client:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port)

    def send(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {body[:300]}")
        return body

    def create(self):
        return json.loads(self.send("POST", "/v2/images", RECORD, {"Content-Type": "application/json"}))["id"]

    def upload(self, image):
        self.send("PUT", f"/v2/images/{image}/file", b"x" * 1024, OCTETS)


class Site:
    """Servers on one catalog and one bucket."""

    def __init__(self, folder, catalog, count, store):
        self.servers, self.ports = [], []
        for number in range(count):
            config, log = folder / f"oriel-{number}.toml", folder / f"log-{number}"
            config.write_text(
                'auth = "none"\n[server]\nlisten = "127.0.0.1:0"\n[metrics]\nlisten = "off"\n'
                f"[catalog]\n{catalog}\n[store.main]\nendpoint = \"{store['S3_ENDPOINT']}\"\nprofile = \"seaweedfs\"\n"
                f"bucket = \"bench-{folder.name.lower().replace('_', '-')}\"\ncreate_bucket = true\n"
                f"access_key = \"{store['AWS_ACCESS_KEY_ID']}\"\nsecret_key = \"{store['AWS_SECRET_ACCESS_KEY']}\"\n")
            with log.open("w") as stderr:
                self.servers.append(subprocess.Popen([ORIEL, "serve", "--config", config], stderr=stderr))
            self.ports.append(self.port_in(log))

    def port_in(self, log):
        patience = time.monotonic() + 60
        while time.monotonic() < patience:
            found = re.search(r"listen=127\.0\.0\.1:(\d+)", log.read_text())
            if found:
                return int(found[1])
            time.sleep(0.05)
        raise SystemExit(f"a server does not start: {log.read_text()}")

    def stop(self):
        for server in self.servers:
            server.terminate()
        for server in self.servers:
            server.wait()


def reads(site):
    image = Client(site.ports[0]).create()
    url = f"http://127.0.0.1:{site.ports[0]}/v2/images/{image}"
    out = subprocess.run(["wrk", "-t1", "-c32", f"-d{SECONDS}s", url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out:
        raise SystemExit(out)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def median_ms(work, clients):
    times = []
    for n in range(WRITES):
        began = time.perf_counter()
        work(clients[n % len(clients)], n)
        times.append(1000 * (time.perf_counter() - began))
    return sorted(times)[WRITES // 2]


def create_and_upload(port, until):
    client, done = Client(port), 0
    while time.monotonic() < until:
        client.upload(client.create())
        done += 1
    return done


def measure(site):
    clients = [Client(port) for port in site.ports]
    image = clients[0].create()
    images = [clients[0].create() for _ in range(WRITES)]
    change = lambda n: json.dumps([{"op": "replace", "path": "/n", "value": str(n)}])
    create = median_ms(lambda client, _: client.create(), clients)
    patch = median_ms(lambda client, n: client.send("PATCH", f"/v2/images/{image}", change(n), PATCH), clients)
    upload = median_ms(lambda client, n: client.upload(images[n]), clients)
    until = time.monotonic() + SECONDS
    with multiprocessing.Pool(CLIENTS) as pool:
        work = [(site.ports[n % len(site.ports)], until) for n in range(CLIENTS)]
        rate = sum(pool.starmap(create_and_upload, work)) / SECONDS
    return reads(site), create, patch, upload, rate


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    store = STORES[sys.argv[2] if len(sys.argv) > 2 else "null"]()
    results = {row: [] for row in ROWS}
    starter("postgres", "start")
    try:
        postgres = starter("postgres", "env")["POSTGRES_URL"]
        for _ in range(rounds):
            for row in ROWS:
                with tempfile.TemporaryDirectory() as name:
                    catalog = f'path = "{name}/catalog.sqlite"'
                    if row[0] == "PostgreSQL":
                        database = f"b{uuid.uuid4().hex}"
                        made = subprocess.run(["psql", "-q", postgres, "-c", f"CREATE DATABASE {database}"], check=False)
                        if made.returncode:
                            raise SystemExit("needs psql (apt-get install postgresql-client)")
                        catalog = f'url = "{postgres.rsplit("/", 1)[0]}/{database}"'
                    site = Site(Path(name), catalog, row[1], store.settings)
                    try:
                        results[row].append(measure(site))
                    finally:
                        site.stop()
                print(row, results[row][-1], file=sys.stderr)
    finally:
        starter("postgres", "stop")
        store.stop()
    print("| catalog | servers | reads/s | create ms | PATCH ms | upload of 1 KiB ms | images/s |\n|" + " --- |" * 7)
    for (catalog, servers), measured in results.items():
        read, create, patch, upload, rate = (sorted(figures)[len(figures) // 2] for figures in zip(*measured))
        print(f"| {catalog} | {servers} | {read:,.0f} | {create:.1f} | {patch:.1f} | {upload:.1f} | {rate:,.0f} |")


if __name__ == "__main__":
    main()
