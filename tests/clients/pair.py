"""Two Oriels on one PostgreSQL and one store behind HAProxy, which gives each request to the other one in turn."""

import os
import re
import socket
import subprocess
import time
import uuid
from contextlib import closing
from urllib.parse import urlsplit

from oriel import DEADLINE, Api, Oriel

# The URL of a server whose user may make schemas.
POSTGRES = os.environ.get("ORIEL_CLIENTS_POSTGRES")

KEYS = '{"access_key":"pair","secret_key":"secret-of-the-pair"}'

PROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend oriel
    bind 127.0.0.1:{port}
    default_backend servers
backend servers
    balance roundrobin
"""


def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return listener.getsockname()[1]


def sql(statement, search_path="public"):
    """Runs a statement; gives what psql says of it."""
    command = ["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", POSTGRES, "-c", statement]
    environment = {**os.environ, "PGOPTIONS": f"-c search_path={search_path}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=True)
    return done.stdout.strip()


class Pair:
    """What [`Oriel`] is, of two."""

    def __init__(self, folder, auth="none", tables=""):
        self.folder = folder
        self.schema = f"c{uuid.uuid4().hex}"
        sql(f"CREATE SCHEMA {self.schema}")
        catalog = f'url = "{POSTGRES}?options[search_path]={self.schema}"'
        store = free_port()
        if "[store." not in tables:
            tables += '\n[store.main]\nendpoint = "embedded"\n'
        # The first one has the store inside, the second one reaches it by its address.
        inside = f'[embedded]\ndata_dir = "{folder}/store"\nlisten = "127.0.0.1:{store}"\n'
        (folder / "store").mkdir(mode=0o700)
        (folder / "store" / "credentials.json").write_text(KEYS)
        address = (
            f'endpoint = "http://127.0.0.1:{store}"\nprofile = "embedded"\n'
            'access_key = "pair"\nsecret_key = "secret-of-the-pair"\n'
        )
        there = "".join(
            (address + ("" if re.search(r"^bucket", table, re.M) else 'bucket = "images"\n')).join(
                table.split('endpoint = "embedded"\n')
            )
            for table in re.split(r"(?<=\n)(?=\[)", tables)
        )
        self.servers = []
        for name, ours in (("one", inside + tables), ("two", there)):
            (folder / name).mkdir()
            self.servers.append(Oriel(folder / name, auth, ours, catalog))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = Api(self.url)
        self.start_proxy()

    def start_proxy(self):
        config = self.folder / "haproxy.cfg"
        servers = "".join(
            f"    server {server.folder.name} {urlsplit(server.url).netloc}\n" for server in self.servers
        )
        config.write_text(PROXY.format(port=self.port) + servers)
        self.proxy = subprocess.Popen(["haproxy", "-q", "-f", config], stdin=subprocess.DEVNULL)
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                assert self.proxy.poll() is None, "HAProxy does not start"
        raise AssertionError("HAProxy does not listen")

    @property
    def log(self):
        return [line for server in self.servers for line in server.log]

    def stop(self):
        self.proxy.terminate()
        self.proxy.wait(DEADLINE)
        # The one with the store last.
        for server in reversed(self.servers):
            server.stop()

    def start(self):
        for server in self.servers:
            server.start()
        self.start_proxy()

    def change_catalog(self, statement):
        """Writes to the catalog behind the servers' backs; gives how many rows."""
        self.stop()
        changed = int(sql(statement, self.schema).split()[-1])
        self.start()
        return changed

    def as_(self, caller):
        return Api(self.url, caller.token)
