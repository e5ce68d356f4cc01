# SPDX-License-Identifier: Apache-2.0
"""An emulator of Scality's sproxyd: objects under keys of 40 hexadecimal digits, in memory.

It takes keys by their shape: service 0x83, class 0 to 15, replica 0. An object that was read or
written a moment ago may be locked (423), as in the RING: `lock_s`."""

import email.utils
import hashlib
import re
import time

from .emulator import Emulator

ALIAS = "mail"
KEY = re.compile(r"[0-9A-Fa-f]{30}83[0-9A-Fa-f]{6}[0-9A-Fa-f]0")


class Sproxyd(Emulator):
    def __init__(self, authority=None, lock_s=0.0):
        super().__init__(authority)
        self.lock_s = lock_s
        self.objects = {}  # key -> (body, headers of metadata, when)
        self.touched = {}  # key -> when

    @property
    def url(self):
        return f"{self.base}/proxy/{ALIAS}"

    def answer(self, request):
        path = request.path.partition("?")[0]
        prefix = f"/proxy/{ALIAS}/"
        # What stands before the key keeps users of one server apart.
        key = path.rpartition("/")[2]
        if not path.startswith(prefix) or not KEY.fullmatch(key):
            return 400, {}, b"not a key"
        do = {"GET": self.get, "HEAD": self.get, "PUT": self.put, "DELETE": self.delete}.get(request.method)
        if not do:
            return 405, {}, b""
        with self.lock:
            return do(path.removeprefix(prefix).lower(), request)

    def get(self, key, request):
        if key not in self.objects:
            return 404, {}, b""
        self.touched[key] = time.monotonic()
        body, meta, when = self.objects[key]
        headers = {
            **meta, "ETag": f'"{hashlib.md5(body).hexdigest()}"', "Accept-Ranges": "bytes",
            "Last-Modified": email.utils.formatdate(when, usegmt=True),
        }
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if request.method == "HEAD":
            return 200, {**headers, "Content-Length": str(len(body))}, b""
        if not found:
            return 200, headers, body
        first = int(found[1])
        last = min(int(found[2] or len(body)), len(body) - 1)
        if first >= len(body):
            return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
        headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
        return 206, headers, body[first : last + 1]

    def put(self, key, request):
        if key in self.objects and request.headers.get("if-none-match") == "*":
            return 412, {}, b""
        meta = {name: value for name, value in request.headers.items() if name.startswith("x-object-meta-")}
        self.objects[key] = (request.body, meta, time.time())
        self.touched[key] = time.monotonic()
        return 200, {}, b""

    def delete(self, key, request):
        if key not in self.objects:
            return 404, {}, b""
        if time.monotonic() - self.touched.get(key, 0) < self.lock_s:
            return 423, {}, b"locked"
        del self.objects[key]
        return 200, {}, b""
