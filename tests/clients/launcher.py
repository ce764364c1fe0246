"""Runs the clients' commands without waiting for their imports each time, which is nearly all that a command does.

A process of its own has imported what the commands need. It forks for each one, and the child runs the very script
that pip installed, with arguments, environment, folder and standard streams of its own, as if freshly started.
"""

import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import traceback
from contextlib import suppress
from importlib.metadata import entry_points

# What the commands import at run time: plugins are entry points, the rest was seen to be loaded.
GROUPS = (
    "cliff.formatter",
    "openstack.cli",
    "openstack.common",
    "openstack.image",
    "openstack.identity",
    "keystoneauth1",
)
MODULES = (
    "glanceclient.shell", "glanceclient.v2.client", "glanceclient.v2.shell",
    "openstackclient.shell", "openstack.connection", "openstack.image.v2._proxy", "openstack.identity.v3._proxy",
)  # fmt: skip


def serve(control):
    """Takes commands from the socket until its other end is gone."""
    for name in MODULES:
        importlib.import_module(name)
    for group in entry_points().groups:
        for point in entry_points(group=group) if group.startswith(GROUPS) else ():
            with suppress(Exception):  # an extra that is not installed, or half of it
                point.load()
    while True:
        message, streams, _, _ = socket.recv_fds(control, 1 << 20, 3)
        if not message:
            return
        child = os.fork()
        if child == 0:
            control.close()
            run(json.loads(message), streams)
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        control.send(b"%d" % os.waitstatus_to_exitcode(status))


def run(command, streams):
    """The child: never returns."""
    status = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", 1)
        os.environ.clear()
        os.environ.update(command["environment"])
        os.chdir(command["folder"])
        sys.argv = command["arguments"]
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Launcher:
    """The other end: starts that process, and hands it commands."""

    def __init__(self):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            )

    def run(self, arguments, environment, folder, streams, timeout):
        """Runs a command to its end with three open files as its streams; gives its status."""
        command = {"arguments": arguments, "environment": environment, "folder": str(folder)}
        self.control.settimeout(timeout)
        try:
            socket.send_fds(self.control, [json.dumps(command).encode()], [s.fileno() for s in streams])
            return int(self.control.recv(64))
        except TimeoutError:
            # What comes later would be taken for the answer to the next command.
            self.stop()
            raise

    def stop(self):
        self.control.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
