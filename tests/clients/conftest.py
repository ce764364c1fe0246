"""What the tests of this folder share: sites, and the clients' commands aimed at them."""

import json
import os
import sys
import tempfile
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone import PASSWORD, Keystone, project_name
from launcher import Launcher
from oriel import DEADLINE, Oriel
from pair import POSTGRES, Pair

# The commands that pip put beside this Python.
COMMANDS = Path(sys.executable).parent


class Result:
    """What a command printed, and how it ended."""

    def __init__(self, arguments, status, output, errors):
        self.arguments = arguments
        self.status = status
        self.bytes = output
        self.output = output.decode(errors="replace")
        self.errors = errors.decode(errors="replace")

    def __repr__(self):
        return f"$ {' '.join(self.arguments)}\n{self.output}{self.errors}-> {self.status}"

    @property
    def json(self):
        return json.loads(self.output)

    @property
    def rows(self):
        """The rows of a table, each a dict; the two columns of `Property | Value` are one."""
        lines = [line for line in self.output.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        head, *rows = cells
        return [dict(zip(head, row, strict=True)) for row in rows]

    @property
    def fields(self):
        """A table of properties and values; a value that runs over several lines is put together again."""
        fields, name = {}, None
        for row in self.rows:
            key, value = row.values()
            name = key or name
            fields[name] = fields.get(name, "") + value
        return fields


class Command:
    """A client's command with its options for one site and one caller."""

    def __init__(self, launcher, name, options, home):
        self.launcher = launcher
        self.name = name
        self.options = options
        self.home = home

    def run(self, *arguments, data=None, stdin=None):
        """Runs it to its end, whatever that is. Its standard input is a pipe with `data`, an open file, or nothing."""
        # No clouds.yaml or cached schema of the person who runs the tests.
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        arguments = [*self.options, *map(str, arguments)]
        with ExitStack() as streams:
            if data is not None:
                stdin = streams.enter_context(pipe(data))
            elif stdin is None:
                stdin = streams.enter_context(open(os.devnull, "rb"))
            output, errors = (streams.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            script = [str(COMMANDS / self.name), *arguments]
            status = self.launcher.run(script, environment, self.home, [stdin, output, errors], 2 * DEADLINE)
            output.seek(0)
            errors.seek(0)
            return Result([self.name, *arguments], status, output.read(), errors.read())

    def __call__(self, *arguments, **source):
        """Runs it and expects it to succeed without a complaint."""
        result = self.run(*arguments, **source)
        assert result.status == 0, result
        assert "Traceback" not in result.errors, result
        return result

    def json(self, *arguments, **source):
        return self(*arguments, "-f", "json", **source).json

    def fails(self, *arguments, **source):
        """Runs it and expects it to fail in words; gives them."""
        result = self.run(*arguments, **source)
        assert result.status != 0, result
        words = result.output + result.errors
        assert "Traceback" not in words, result
        return words


@contextmanager
def pipe(data):
    """The reading end of a pipe that is fed `data`."""

    def feed():
        # A command that fails may not read it all.
        with suppress(BrokenPipeError), open(writing, "wb") as sink:
            sink.write(data)

    reading, writing = os.pipe()
    feeding = threading.Thread(target=feed)
    feeding.start()
    with open(reading, "rb") as source:
        yield source
    feeding.join()


class Site:
    """An Oriel and how each client reaches it."""

    def __init__(self, launcher, folder, auth, tables):
        self.launcher = launcher
        for name in ("oriel", "home"):
            (folder / name).mkdir()
        self.home = folder / "home"
        self.oriel = (Pair if POSTGRES else Oriel)(folder / "oriel", auth, tables)
        self.keystone = Keystone(self.oriel.url)

    def stop(self):
        self.keystone.stop()
        self.oriel.stop()

    @property
    def url(self):
        return self.oriel.url

    @property
    def api(self):
        """The plain client; without a token."""
        return self.oriel.api

    def as_(self, caller):
        """The plain client with a caller's token."""
        return self.oriel.as_(caller)

    @property
    def openstack(self):
        """Without a token, for `auth = "none"`."""
        options = ["--os-auth-type", "none", "--os-endpoint", self.url]
        return Command(self.launcher, "openstack", options, self.home)

    def openstack_with_token(self, caller):
        """With a token of the file, and no identity service at all."""
        # Which takes the endpoint as it is, while without a token the client asks at / where the API begins.
        options = ["--os-auth-type", "admin_token", "--os-endpoint", f"{self.url}/v2"]
        return Command(self.launcher, "openstack", [*options, "--os-token", caller.token], self.home)

    def openstack_logged_in(self, caller):
        """With a password, at the identity service."""
        return Command(self.launcher, "openstack", self.login(caller), self.home)

    def login(self, caller):
        return [
            *("--os-auth-url", self.keystone.url),
            *("--os-username", caller.name, "--os-password", PASSWORD),
            *("--os-project-name", project_name(caller)),
            *("--os-user-domain-name", "Default", "--os-project-domain-name", "Default"),
        ]

    @property
    def glance(self):
        """For `auth = "none"`: the command insists on a token, whatever it is."""
        options = ["--os-image-url", self.url, "--os-auth-token", "unused"]
        return Command(self.launcher, "glance", options, self.home)

    def glance_with_token(self, caller):
        options = ["--os-image-url", self.url, "--os-auth-token", caller.token]
        return Command(self.launcher, "glance", options, self.home)

    def glance_logged_in(self, caller):
        return Command(self.launcher, "glance", self.login(caller), self.home)

    def file(self, data, name="disk.raw"):
        """A file in the folder that the commands run in."""
        path = self.home / name
        path.write_bytes(data)
        return path


@pytest.fixture(scope="session")
def launcher():
    launcher = Launcher()
    yield launcher
    launcher.stop()


@pytest.fixture
def start_site(launcher, tmp_path):
    """Starts a site; when the test is over each is stopped, which looks into its log."""
    started = []

    def start(auth="none", tables=""):
        folder = tmp_path / f"site{len(started)}"
        folder.mkdir()
        started.append(Site(launcher, folder, auth, tables))
        return started[-1]

    yield start
    for site in started:
        site.stop()


@pytest.fixture
def site(start_site):
    """Everybody is the administrator."""
    return start_site()


@pytest.fixture
def shared_site(start_site):
    """Callers show tokens."""
    return start_site("tokens")


@pytest.fixture
def metadefs(site):
    """A site with metadata definitions."""
    return site


@pytest.fixture
def importing(site):
    """A site that imports, once it does; the methods it has."""
    methods = site.api.get("/v2/info/import")["import-methods"]["value"]
    if "glance-direct" not in methods:
        pytest.skip("no import yet")
    return SimpleNamespace(site=site, methods=methods)
