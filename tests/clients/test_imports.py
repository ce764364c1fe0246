"""Data that comes in by an import, with the commands and the library that people use."""

import gzip
import os
import pty
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import openstack
import pytest
from oriel import content

FORMATS = ["--disk-format", "raw", "--container-format", "bare"]


class Pages(BaseHTTPRequestHandler):
    """Gives out what stands at a path of `pages`."""

    def do_GET(self):
        data = self.server.pages.get(self.path)
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Length", len(data or b""))
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(data or b"")

    def log_message(self, *_):
        """Nobody reads it."""


@pytest.fixture
def web():
    """A web server; `pages` is what it has."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.pages = {}
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    port = server.server_address[1]
    yield SimpleNamespace(pages=server.pages, port=port, url=f"http://127.0.0.1:{port}")
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def site(start_site, web):
    """With two stores, and with every plugin."""
    return start_site(
        tables=f"[import]\nallow_private_addresses = true\nallowed_ports = [{web.port}]\n"
        'plugins = ["image_decompression", "inject_image_metadata"]\n'
        '[store.main]\nendpoint = "embedded"\n'
        '[store.second]\nendpoint = "embedded"\nbucket = "second"\n'
    )


def create_via_import(site, *arguments):
    """`glance image-create-via-import` as from a terminal: whatever is none counts as data."""
    terminal, its_end = pty.openpty()
    with open(its_end, "rb", 0) as stdin:
        shown = site.glance("image-create-via-import", *FORMATS, *arguments, stdin=stdin).fields
    os.close(terminal)
    return shown["id"]


def reason(site, image):
    """What the one task of an image says in the end."""
    [task] = site.api.get(f"/v2/images/{image}/tasks")["tasks"]
    shown = site.openstack.json("image", "task", "show", task["id"])
    assert shown["status"] == "failure", shown
    return shown["message"]


def test_openstack_imports_from_the_web(site, web):
    data = web.pages["/image"] = content(70_000)
    image = site.api.create(name="far")
    site.openstack("image", "import", "--method", "web-download", "--uri", f"{web.url}/image", "far")
    site.api.image_once(image, "active")
    assert site.api.data(image) == data
    [task] = site.openstack.json("image", "task", "list")
    assert (task["Type"], task["Status"]) == ("api_image_import", "success")


def test_openstack_tells_why_an_import_from_the_web_failed(site, web):
    image = site.api.create(name="gone")
    site.openstack("image", "import", "--method", "web-download", "--uri", f"{web.url}/gone", "gone")
    site.api.task_once_ended(image)
    assert site.api.image(image)["status"] == "queued"
    assert "the source answered 404" in reason(site, image)


def test_what_may_not_be_asked_is_refused_before_anything_begins(site):
    image = site.api.create(name="inside")
    method = {"name": "web-download", "uri": "http://169.254.169.254/latest/meta-data"}
    answer = site.api.request("POST", f"/v2/images/{image}/import", {"method": method})
    assert answer.status == 400 and b"does not pass filtering" in answer.body, answer
    # The openstack command does not look at the answer; the record does not move.
    site.openstack("image", "import", "inside", "--method", "web-download", "--uri", method["uri"])
    assert site.api.image(image)["status"] == "queued"
    assert site.api.get(f"/v2/images/{image}/tasks")["tasks"] == []


def test_openstack_copies_to_another_store(site):
    image = site.api.create(name="near", data=content(70_000))
    site.openstack("image", "import", "near", "--method", "copy-image", "--store", "second")
    site.api.task_once_ended(image)
    assert site.api.image(image)["stores"] == "main,second"


def test_openstack_creates_by_an_import(site):
    data = content(70_000)
    path = site.file(data)
    site.openstack("image", "create", "--import", "--file", path, *FORMATS, "imported")
    image = site.api.named("imported")["id"]
    site.api.image_once(image, "active")
    assert site.api.data(image) == data


def test_glance_creates_from_the_web_and_unpacks(site, web):
    data = content(70_000)
    web.pages["/image.gz"] = gzip.compress(data)
    image = create_via_import(site, "--import-method", "web-download", "--uri", f"{web.url}/image.gz")
    assert site.api.image_once(image, "active")["size"] == len(data)
    assert site.api.data(image) == data


def test_glance_tells_why_packed_data_was_refused(site, web):
    web.pages["/half.gz"] = gzip.compress(content(70_000))[:100]
    image = create_via_import(site, "--import-method", "web-download", "--uri", f"{web.url}/half.gz")
    site.api.task_once_ended(image)
    assert "ends too early" in reason(site, image)
    assert "failure" in site.glance("image-tasks", image).output


def test_glance_stages_and_imports_to_all_stores(site):
    data = content(70_000)
    image = site.api.create(name="staged")
    site.glance("image-stage", "--file", site.file(data), image)
    site.glance("image-import", "--import-method", "glance-direct", "--all-stores", "True", image)
    site.api.task_once_ended(image)
    assert site.api.image(image)["stores"] == "main,second"


def test_glance_copies_to_all_stores(site):
    image = site.api.create(name="near", data=content(70_000))
    site.glance("image-import", "--import-method", "copy-image", "--all-stores", "True", image)
    site.api.task_once_ended(image)
    assert site.api.image(image)["stores"] == "main,second"


def test_the_library_imports_from_the_web(site, web):
    data = web.pages["/image"] = content(70_000)
    images = openstack.connect(auth_type="none", endpoint=site.url).image
    image = images.create_image(name="far", disk_format="raw", container_format="bare")
    images.import_image(image, method="web-download", uri=f"{web.url}/image")
    site.api.image_once(image.id, "active")
    assert site.api.data(image.id) == data
    images.import_image(images.get_image(image.id), method="copy-image", stores=["second"])
    site.api.task_once_ended(image.id)
    assert site.api.image(image.id)["stores"] == "main,second"
