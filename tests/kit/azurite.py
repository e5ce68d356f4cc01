# SPDX-License-Identifier: Apache-2.0
"""Azurite, Microsoft's own emulator of Azure Blob Storage, with one account and one container."""

import base64
import email.utils
import hashlib
import hmac
import http.client
import os
import urllib.parse

from .server import Server, StoreServer
from .testenv import need_program, npm_package

PACKAGE = "azurite"
HOST = "127.0.0.1"
ACCOUNT = "testaccount"
KEY = base64.b64encode(hashlib.sha512(b"the key of the tests").digest()).decode()
CONTAINER = "mail"
VERSION = "2021-12-02"


class Azurite(StoreServer):
    """`authority`: https, and bearer tokens are taken as well as keys."""

    def start(self):
        script = npm_package(PACKAGE) / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        command = [need_program("node"), script, "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        command += ["--blobHost", HOST, "--blobPort", str(self.port), "--inMemoryPersistence"]
        if self.authority:
            command += ["--cert", self.authority.cert, "--key", self.authority.key, "--oauth", "basic"]
        env = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}", "HOME": str(self.dir)}
        if self.authority:  # it asks itself for the source of a copy
            env["NODE_EXTRA_CA_CERTS"] = str(self.authority.ca)
        self.server = Server("azurite", command, self.dir, env)
        self.server.wait(lambda: self.make_container() in (201, 409), 60)
        return self

    @property
    def url(self):
        """Of the container, with account and key, as settings and tools take it."""
        scheme = "https" if self.authority else "http"
        secret = urllib.parse.quote(KEY, safe="")
        return f"{scheme}://{ACCOUNT}:{secret}@{HOST}:{self.port}/{ACCOUNT}/{CONTAINER}"

    def make_container(self):
        """The answer's status."""
        if self.authority:
            context = self.authority.client_context()
            connection = http.client.HTTPSConnection(HOST, self.port, timeout=10, context=context)
        else:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request("PUT", f"/{ACCOUNT}/{CONTAINER}?restype=container", b"", self._sign())
            return connection.getresponse().status
        finally:
            connection.close()

    def _sign(self):
        """SharedKey for the one request that is made here."""
        date = email.utils.formatdate(usegmt=True)
        # An account in the path stands twice: once as the account, once as part of the path.
        resource = f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
        text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{VERSION}\n{resource}"
        mac = hmac.new(base64.b64decode(KEY), text.encode(), "sha256").digest()
        signature = base64.b64encode(mac).decode()
        return {
            "x-ms-date": date, "x-ms-version": VERSION, "Content-Length": "0",
            "Authorization": f"SharedKey {ACCOUNT}:{signature}",
        }
