# SPDX-License-Identifier: Apache-2.0
"""Server processes that tests start: free ports, a log, a wait until they answer, an end.

A server ends with the process that started it, however that one ends (setpriv --pdeathsig)."""

import contextlib
import pathlib
import random
import signal
import socket
import ssl
import subprocess
import time


class ServerError(Exception):
    pass


def free_port(*hosts):
    """A port below the ephemeral range on which nobody listens, at none of the addresses."""
    for _ in range(200):
        port = random.randrange(30000, 32500)
        if all(_is_free(host, port) for host in hosts or ("127.0.0.1",)):
            return port
    raise ServerError("no free port")


def _is_free(host, port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
        except OSError:
            return False
        return True


class Server:
    """One process; `log` gets what it prints."""

    def __init__(self, name, command, folder, env=None):
        self.name = name
        self.log = pathlib.Path(folder) / f"{name}.log"
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "nice", *command],
                cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )

    @property
    def pid(self):
        return self.process.pid

    def wait(self, is_ready, seconds):
        """Until `is_ready()`, which may raise OSError meanwhile."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerError(f"{self.name} ended with status {self.process.returncode}\n{self.tail()}")
            with contextlib.suppress(OSError):
                if is_ready():
                    return
            time.sleep(0.1)
        self.kill()
        raise ServerError(f"{self.name} does not answer after {seconds} s\n{self.tail()}")

    def wait_port(self, host, port, seconds=30):
        def is_open():
            socket.create_connection((host, port), timeout=1).close()
            return True

        self.wait(is_open, seconds)

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def cpu_seconds(self):
        """User and system time so far of all its threads."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self, seconds=20):
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()


class StoreServer:
    """An object store with its files in `folder`, on a free port; with an `authority`: https. A subclass has
    start(), which sets `server`."""

    def __init__(self, folder, authority=None):
        self.dir = pathlib.Path(folder)
        self.authority = authority
        self.port = free_port()
        self.server = None

    @property
    def pid(self):
        return self.server.pid

    def stop(self):
        if self.server:
            self.server.kill()

    def cpu_seconds(self):
        return self.server.cpu_seconds()


class Authority:
    """A certificate authority of the tests and one server certificate of it for 127.0.0.0/30."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.ca, self.cert, self.key = (self.dir / n for n in ("ca.pem", "server.pem", "server.key"))
        if not self.cert.exists():
            self._make("ca", "/CN=Test servers", ["basicConstraints=critical,CA:TRUE"], [])
            names = "subjectAltName=DNS:localhost," + ",".join(f"IP:127.0.0.{i}" for i in (1, 2, 3))
            signer = ["-CA", self.ca, "-CAkey", self.dir / "ca.key"]
            self._make("server", "/CN=localhost", [names, "basicConstraints=critical,CA:FALSE"], signer)

    def _make(self, name, subject, extensions, signer):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "3650"]
        command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", subject]
        command += ["-keyout", self.dir / f"{name}.key", "-out", self.dir / f"{name}.pem"]
        for extension in extensions:
            command += ["-addext", extension]
        subprocess.run(command + signer, check=True, stderr=subprocess.DEVNULL)

    def pkcs12(self, password):
        """Key and certificate in the form that Java reads."""
        path = self.dir / "server.p12"
        command = ["openssl", "pkcs12", "-export", "-in", self.cert, "-inkey", self.key, "-out", path]
        subprocess.run([*command, "-passout", f"pass:{password}"], check=True, stderr=subprocess.DEVNULL)
        return path

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context

    def client_context(self):
        return ssl.create_default_context(cafile=self.ca)
