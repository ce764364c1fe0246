#!/usr/bin/env python3
"""How long a page of 100 images takes, out of catalogs of different sizes, and how much memory the server has.

    benches/lists.py [IMAGES...]      1000 100000 1000000 when none is given; a million takes minutes to make, once
    benches/lists.py postgres [IMAGES...]     the same in a PostgreSQL that is started for it, filled by `oriel catalog copy`; needs psql
    benches/lists.py rate             how many lists of 100 out of 300 images a second, by wrk

Needs the release build. Catalogs are made under target/bench/lists and kept there: the server makes the tables, then this
script fills them, with owners, names, formats, tags and properties from rare to common. Each list is asked for 100 times over a
kept connection by one client; the time is from the request to the last byte, so it has HTTP and JSON in it. Writes a Markdown table.
"""
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
ORIEL = TARGET / "release" / "oriel"
HOME = TARGET / "bench" / "lists"
REQUESTS = 100
FIRST_SECOND = 1_600_000_000
VISIBILITIES = ["shared"] * 60 + ["private"] * 30 + ["public"] * 5 + ["community"] * 5
TOKENS = {"admin": ("site", "admin"), "many": ("owner-0", "member"), "few": ("owner-4000", "member")}


def owner_of(draw):
    """A third of all images are one project's, and most projects have few."""
    share = draw.random()
    if share < 0.3:
        return "owner-0"
    if share < 0.4:
        return "owner-1"
    return f"owner-{int(5000 * draw.random() ** 3)}"


def fill(path, count):
    draw = random.Random(1)
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = OFF")
    rows = {"images": [], "tags": [], "properties": [], "members": [], "locations": []}

    def write():
        database.executemany(
            "INSERT INTO images (id, name, status, visibility, owner, protected, os_hidden, disk_format, container_format,"
            " min_disk, min_ram, size, virtual_size, checksum, os_hash_algo, os_hash_value, created_at, updated_at)"
            " VALUES (" + ",".join("?" * 18) + ")", rows["images"])
        database.executemany("INSERT OR IGNORE INTO image_tags (image_id, value, created_at) VALUES (?, ?, ?)", rows["tags"])
        database.executemany("INSERT INTO image_properties (image_id, name, value, created_at) VALUES (?, ?, ?, ?)", rows["properties"])
        database.executemany("INSERT INTO image_members VALUES (?, ?, ?, ?, ?, ?)", rows["members"])
        database.executemany("INSERT INTO image_locations (image_id, position, store, object_key) VALUES (?, 0, 'main', ?)", rows["locations"])
        database.commit()
        for group in rows.values():
            group.clear()

    for number in range(count):
        image = str(uuid.UUID(int=draw.getrandbits(128)))
        status = draw.choices(["active", "queued", "deactivated", "saving"], [90, 8, 1.5, 0.5])[0]
        size = draw.randrange(1 << 20, 1 << 36) if status in ("active", "deactivated") else None
        digest = hashlib.md5(image.encode()).hexdigest() if size else None
        created = (FIRST_SECOND + number) * 1_000_000 + draw.randrange(1000)
        visibility = draw.choice(VISIBILITIES)
        rows["images"].append((
            image, f"image-{draw.randrange(count // 3 + 1)}", status, visibility, owner_of(draw),
            draw.random() < 0.02, draw.random() < 0.03,
            draw.choices(["raw", "qcow2", "vmdk", "vhd", "iso"], [50, 40, 6, 3, 1])[0], "bare",
            draw.choice([0, 0, 10, 20]), draw.choice([0, 0, 512, 4096]), size, size, digest,
            "sha512" if digest else None, digest * 4 if digest else None, created, created + draw.randrange(10 ** 12)))
        for _ in range(draw.choice([0, 1, 2, 3])):
            rows["tags"].append((image, f"tag-{int(30 * draw.random() ** 4)}", created))
        if number % 10_000 == 0:
            rows["tags"].append((image, "rare", created))
        if draw.random() < 0.5:
            rows["properties"].append((image, "os_distro", draw.choice(["debian", "ubuntu", "rhel", "suse"]), created))
        if draw.random() < 0.02:
            rows["properties"].append((image, "uncommon", draw.choice(["a", "b"]), created))
        rows["properties"].append((image, "build", str(number), created))
        if visibility == "shared" and draw.random() < 0.05:
            rows["members"].append((image, owner_of(draw), draw.choice(["pending", "accepted", "rejected"]), created, created, created))
        if size:
            rows["locations"].append((image, f"{image}/x"))
        if len(rows["images"]) == 50_000:
            write()
    write()
    database.execute(
        "INSERT INTO project_usage (project, bytes, reserved_bytes, images, uploads) SELECT COALESCE(i.owner, ''),"
        " SUM(CASE WHEN l.image_id IS NULL THEN 0 ELSE i.size END), 0, COUNT(*), 0"
        " FROM images i LEFT JOIN image_locations l ON l.image_id = i.id GROUP BY 1")
    database.commit()
    database.close()


def postgres(command):
    """Starts or stops a PostgreSQL that waits for the disk; the start gives its URL."""
    script, environment = ROOT / "tests" / "postgres" / "postgres.sh", {**os.environ, "ORIEL_POSTGRES_FSYNC": "on"}
    subprocess.run([script, command], env=environment, check=True, capture_output=True)
    if command == "start":
        out = subprocess.run([script, "env"], env=environment, check=True, capture_output=True, text=True).stdout
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)["POSTGRES_URL"]


def copy_to(url, count):
    """The catalog of so many images in a database of its own; gives its URL."""
    began, own = time.monotonic(), url.rsplit("/", 1)[0] + f"/lists{count}"
    subprocess.run(["psql", "-q", url, "-c", f"CREATE DATABASE lists{count}"], check=True)
    source = HOME / str(count) / "catalog.sqlite"
    subprocess.run([ORIEL, "catalog", "copy", "--from", source, "--to", own], check=True, stdout=sys.stderr)
    print(f"{count} images copied in {time.monotonic() - began:.0f} s", file=sys.stderr)
    # As the database does by itself within a minute or so.
    subprocess.run(["psql", "-q", own, "-c", "VACUUM ANALYZE"], check=True)
    return own


class Server:
    def __init__(self, folder, url=None):
        tokens = "".join(
            f'[[token]]\nname = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\nuser_id = "u"\n'
            f'project_id = "{project}"\nroles = ["{role}"]\n' for name, (project, role) in TOKENS.items())
        (folder / "tokens.toml").write_text(tokens)
        config = folder / "oriel.toml"
        catalog = f'url = "{url}"' if url else f'path = "{folder}/catalog.sqlite"'
        config.write_text(
            f'auth = "tokens"\n[tokens]\nfile = "{folder}/tokens.toml"\n[server]\nlisten = "127.0.0.1:0"\n[metrics]\nlisten = "off"\n'
            f'[catalog]\n{catalog}\n[embedded]\ndata_dir = "{folder}/store"\n[store.main]\nendpoint = "embedded"\n')
        log = folder / "log"
        with log.open("w") as stderr:
            self.process = subprocess.Popen([ORIEL, "serve", "--config", config], stderr=stderr)
        found, patience = None, time.monotonic() + 600
        while not found:
            if self.process.poll() is not None or time.monotonic() > patience:
                raise SystemExit(f"the server does not start: {log.read_text()}")
            time.sleep(0.05)
            found = re.search(r"listen=127\.0\.0\.1:(\d+)", log.read_text())
        self.connection = http.client.HTTPConnection("127.0.0.1", int(found[1]))

    def get(self, path, token):
        self.connection.request("GET", path, headers={"X-Auth-Token": token})
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:300]}")
        return body

    def rss_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def cases(server, count):
    """Who asks, and for what; the marker stands in the middle of the catalog."""
    page = "/v2/images?limit=100"
    middle = (FIRST_SECOND + count // 2)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(middle))
    first = json.loads(server.get(f"{page}&created_at=lte:{at}&limit=1".replace("limit=100&", ""), "admin"))["images"][0]
    marker, checksum = first["id"], None
    for image in json.loads(server.get(f"{page}&status=active", "admin"))["images"]:
        checksum = image["checksum"]
    names = [
        ("no filter", ""), ("no filter, deep", f"&marker={marker}"),
        ("status=active (90 %)", "&status=active"), ("status=active, deep", f"&status=active&marker={marker}"),
        ("status=saving (0.5 %)", "&status=saving"), ("status=in:saving,queued", "&status=in:saving,queued"),
        ("name", "&name=image-7"), ("name, of none", "&name=nothing"), ("owner, a third", "&owner=owner-0"),
        ("owner, few", "&owner=owner-4000"), ("disk_format=iso (1 %)", "&disk_format=iso"),
        ("container_format=bare (all)", "&container_format=bare"), ("visibility=public (5 %)", "&visibility=public"),
        ("visibility=all", "&visibility=all"), ("protected=true (2 %)", "&protected=true"), ("os_hidden=true (3 %)", "&os_hidden=true"),
        ("size_min, half", f"&size_min={1 << 35}"), ("size_min, a few", f"&size_min={(1 << 36) - (1 << 20)}"),
        ("created_at, half", f"&created_at=lt:{at}"), ("created_at, one second", f"&created_at={quote(at)}"),
        ("updated_at, half", f"&updated_at=gt:{at}"), ("checksum", f"&checksum={checksum}"),
        ("tag, a third", "&tag=tag-0"), ("tag, a third, deep", f"&tag=tag-0&marker={marker}"), ("tag, 1 %", "&tag=tag-29"),
        ("tag, 1 in 10,000", "&tag=rare"), ("two tags, common and 1 %", "&tag=tag-0&tag=tag-29"),
        ("status and format, common", "&status=active&disk_format=qcow2"), ("status and tag, 0.5 % and 1 %", "&status=saving&tag=tag-29"),
        ("sort by name", "&sort_key=name&sort_dir=asc"), ("sort by name, deep", f"&sort_key=name&sort_dir=asc&marker={marker}"),
        ("sort by size, deep", f"&sort_key=size&marker={marker}"), ("sort by status, deep", f"&sort_key=status&marker={marker}"),
        ("sort by updated_at", "&sort_key=updated_at"), ("sort by name, status=active", "&sort_key=name&status=active"),
        ("sort by name, disk_format=iso (1 %)", "&sort_key=name&disk_format=iso"), ("sort by name, tag 1 in 10,000", "&sort_key=name&tag=rare"),
        ("property (12 %)", "&os_distro=debian"), ("property (1 %)", "&uncommon=a"), ("property, of one", "&build=77"),
        ("property, of none", "&build=x"), ("property (1 %), sort by name", "&uncommon=a&sort_key=name"),
    ]
    for name, query in names:
        yield "admin", name, page + query
    for who in ("many", "few"):
        for name, query in [
            ("no filter", ""), ("status=active", "&status=active"), ("tag, a third", "&tag=tag-0"), ("tag, 1 %", "&tag=tag-29"),
            ("name", "&name=image-7"), ("visibility=shared", "&visibility=shared"), ("visibility=all", "&visibility=all"),
            ("member_status=all", "&member_status=all"), ("sort by name", "&sort_key=name&sort_dir=asc"), ("property (12 %)", "&os_distro=debian"),
        ]:
            yield who, name, page + query


def measure(count, url=None):
    folder = HOME / str(count)
    catalog = folder / "catalog.sqlite"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        Server(folder).stop()
        began = time.monotonic()
        fill(catalog, count)
        print(f"{count} images made in {time.monotonic() - began:.0f} s", file=sys.stderr)
        (folder / "done").touch()
    server = Server(folder, url and copy_to(url, count))
    before, results = server.rss_mib(), {}
    for who, name, path in cases(server, count):
        times, found = [], 0
        for _ in range(REQUESTS):
            began = time.perf_counter()
            body = server.get(path, who)
            times.append((time.perf_counter() - began) * 1000)
        found = len(json.loads(body)["images"])
        times.sort()
        results[who, name] = (times[REQUESTS // 2], times[int(REQUESTS * 0.99) - 1], found)
        print(f"{count} {who} {name}: {results[who, name]}", file=sys.stderr)
    after = server.rss_mib()
    server.stop()
    return results, before, after


def rate():
    """Three rounds of ten seconds for each caller, by one thread of wrk on the same machine."""
    folder = HOME / "rate"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    Server(folder).stop()
    fill(folder / "catalog.sqlite", 300)
    server = Server(folder)
    print("| caller | lists/s, 8 connections | CPU of Oriel, ms a list |\n| --- | --- | --- |")
    for caller in ("admin", "many"):
        # The server closes a connection that was idle during the rounds before.
        server.connection.close()
        server.get("/v2/images?limit=100", caller)
        rates, costs = [], []
        for _ in range(3):
            before = server.cpu_seconds()
            out = subprocess.run(
                ["wrk", "-t1", "-c8", "-d10s", "-H", f"X-Auth-Token: {caller}",
                 f"http://127.0.0.1:{server.connection.port}/v2/images?limit=100"], capture_output=True, text=True, check=True).stdout
            if "Non-2xx" in out:
                raise SystemExit(out)
            rates.append(float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]))
            costs.append(1000 * (server.cpu_seconds() - before) / int(re.search(r"(\d+) requests in", out)[1]))
        print(f"| {caller} | {sorted(rates)[1]:,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) | {sorted(costs)[1]:.2f} |")
    server.stop()


def main():
    if not ORIEL.exists():
        raise SystemExit(f"{ORIEL} is not there: cargo build --release")
    if sys.argv[1:] == ["rate"]:
        rate()
        return
    is_postgres = sys.argv[1:2] == ["postgres"]
    counts = [int(text) for text in sys.argv[1 + is_postgres:]] or [1_000, 100_000, 1_000_000]
    try:
        url = postgres("start") if is_postgres else None
        measured = {count: measure(count, url) for count in counts}
    finally:
        if is_postgres:
            postgres("stop")
    print("| caller | list of 100 | " + " | ".join(f"{count:,}: p50, p99 ms (found)" for count in counts) + " |")
    print("| --- | --- |" + " --- |" * len(counts))
    for who, name in measured[counts[0]][0]:
        cells = [measured[count][0][who, name] for count in counts]
        print(f"| {who} | {name} | " + " | ".join(f"{p50:.1f}, {p99:.1f} ({found})" for p50, p99, found in cells) + " |")
    if is_postgres:
        return
    print()
    print("| images | database MiB | resident MiB at the start | after all lists |\n| --- | --- | --- | --- |")
    for count, (_, before, after) in measured.items():
        size = (HOME / str(count) / "catalog.sqlite").stat().st_size / 2 ** 20
        print(f"| {count:,} | {size:,.0f} | {before:.0f} | {after:.0f} |")


if __name__ == "__main__":
    main()
