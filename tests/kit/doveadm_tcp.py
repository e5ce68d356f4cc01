# SPDX-License-Identifier: Apache-2.0
"""The administrators' protocol: settings of an instance that serves it, and a client that may misbehave."""

import base64
import socket

from .waiting import PATIENCE_S

PASSWORD = "open-sesame-7"
HELLO = b"VERSION\tdoveadm-server\t1\t0\n"


def settings(port, tls_port=None, password=PASSWORD, more=""):
    """Of an instance that listens for administrators."""
    lines = ["service doveadm {", "  inet_listener doveadm {", f"    port = {port}", "    listen = 127.0.0.1", "  }"]
    if tls_port:
        lines += ["  inet_listener doveadm-tls {", f"    port = {tls_port}", "    listen = 127.0.0.1", "    ssl = yes", "  }"]
    lines += ["}"]
    if password:
        lines += [f"doveadm_password = {password}"]
    return "\n".join(lines) + "\n" + more


def caller(instance, name="caller.conf", **wanted):
    """A configuration for doveadm -S alone."""
    versions = ["dovecot_config_version = 3.1.0", "dovecot_storage_version = 3.1.0"]
    wanted = {"doveadm_password": PASSWORD, "ssl": "no", **wanted}
    path = instance.dir / name
    path.write_text("\n".join([*versions, *(f"{key} = {value}" for key, value in wanted.items())]) + "\n")
    return path


def plain(password=PASSWORD, name="doveadm"):
    return b"PLAIN\t" + base64.b64encode(f"\0{name}\0{password}".encode()) + b"\n"


class Raw:
    """Bytes and lines, without any politeness."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """b"" at the end of the connection."""
        try:
            return self.file.readline()
        except ConnectionError:
            return b""

    def log_in(self, password=PASSWORD):
        """The server's answer to the password."""
        self.send(HELLO)
        assert self.line() == b"VERSION\tdoveadm-client\t1\t0\n"
        self.send(plain(password))
        return self.line()

    def run(self, user, command, *args):
        """(lines of output, status)"""
        self.send(b"\t".join([b"", *(word.encode() for word in (user, command, *args))]) + b"\n")
        lines = []
        while (line := self.line()) not in (b"\n", b""):
            lines.append(line)
        return lines, self.line()
