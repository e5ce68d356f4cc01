# SPDX-License-Identifier: Apache-2.0
"""What the emulators of little HTTP services have in common: a server in a thread."""

import http.server
import sys
import threading

from .server import free_port

HOST = "127.0.0.1"


class Emulator:
    """A subclass has answer(request): (status, headers, body). request: method, path (with its query),
    headers (names in lower case), body."""

    def __init__(self, authority=None):
        self.authority = authority
        self.port = free_port()
        self.http = None
        self.lock = threading.Lock()

    def start(self):
        emulator = self

        class Handler(RequestHandler):
            pass

        Handler.emulator = emulator
        self.http = Server((HOST, self.port), Handler)
        if self.authority:
            self.http.socket = self.authority.server_context().wrap_socket(self.http.socket, server_side=True)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    @property
    def base(self):
        return f"{'https' if self.authority else 'http'}://{HOST}:{self.port}"

    @property
    def url(self):
        """What settings and tools take."""
        return self.base

    def stop(self):
        if self.http:
            self.http.shutdown()
            self.http.server_close()

    def cpu_seconds(self):
        return 0.0


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body


class RequestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # header and body leave together
    emulator = None

    def log_message(self, *_):
        pass

    def serve(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        status, added, answer = self.emulator.answer(Request(self.command, self.path, headers, body))
        self.send_response(status)
        for name, value in added.items():
            self.send_header(name, value)
        if "Content-Length" not in added:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = serve
