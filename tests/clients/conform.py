"""Runs schemathesis on an Oriel that has something of everything; `schemathesis.sh` calls it."""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from oriel import ADMIN, Oriel, content
from schemathesis_hooks import NAMES

HERE = Path(__file__).parent

# The same requests in every run. A version of schemathesis is free to make others: it is pinned.
OPTIONS = ["--seed", "20260730", "--max-examples", "15", "--generation-database", "none"]


def furnish(api):
    """Images, members and definitions, so that not everything asked for is absent."""
    images = [
        api.create(name="full", data=content(1000), tags=[NAMES["tag"]], hw_disk_bus="virtio"),
        api.create(name="empty"),
        api.create(name="safe", protected=True, data=content(10)),
    ]
    member = {"member": NAMES["member_id"]}
    for image in images:
        assert api.request("POST", f"/v2/images/{image}/members", member).status == 200
    space = {
        "namespace": NAMES["namespace"],
        "visibility": "public",
        "properties": {NAMES["property"]: {"title": "Speed", "type": "string"}},
        "objects": [{"name": NAMES["object"]}],
        "tags": [{"name": NAMES["tag"]}],
        "resource_type_associations": [{"name": NAMES["resource_type"]}],
    }
    assert api.request("POST", "/v2/metadefs/namespaces", space).status == 201
    return images


def main(arguments):
    with tempfile.TemporaryDirectory() as folder:
        oriel = Oriel(Path(folder), "tokens")
        try:
            images = furnish(oriel.as_(ADMIN))
            report = Path(folder) / "report.xml"
            # It writes into the folder it is started in.
            subprocess.run(
                [
                    *(sys.executable, "-m", "schemathesis.cli", "--no-color"),
                    *("--config-file", HERE / "schemathesis.toml", "run", f"{oriel.url}/openapi.json"),
                    *("--header", f"X-Auth-Token: {ADMIN.token}", "--header", "Accept: application/json"),
                    *("--report", "junit", "--report-junit-path", report, *OPTIONS, *arguments),
                ],
                cwd=folder,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": folder,
                    "LC_ALL": "C.UTF-8",
                    "PYTHONPATH": str(HERE),
                    "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
                    "ORIEL_IMAGES": " ".join(images),
                },
            )
        finally:
            oriel.stop()
        counts = ElementTree.parse(report).getroot().attrib
    failed = int(counts["failures"]) + int(counts["errors"])
    skipped = int(counts["skipped"])
    passed = int(counts["tests"]) - failed - skipped
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {passed} passed; {failed} failed; {skipped} ignored; schemathesis")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
