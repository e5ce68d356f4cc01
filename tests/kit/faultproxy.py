#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A proxy between the program under test and a server, that can be told to behave badly, and counts.

It understands what it passes on: HTTP/1.1 (a request, its answer) or frames of CQL v4 (by stream), so a
fault hits one whole request or answer. It is a process of its own, told what to do on standard
input; `Proxy` is its handle:

    proxy = Proxy("http", "127.0.0.1:9000").start()     # then use proxy.port instead of 9000
    proxy.set("slow", seconds=5)
    proxy.set("lost_answer", kinds=["PUT"], every=3)    # each third PUT is done, but not answered
    proxy.clear()
    proxy.counts()                                      # {"PUT mails": 12, ...} since the last reset()
    proxy.counts()["at once"]                           # HTTP: so many requests were under way together
    proxy.record(path)                                  # CQL: every frame from now on, a line each

Faults: `kinds` are beginnings of what counts() calls them; `every` n: each n-th of them; `limit`:
so many, then none.
    down          connections are refused, those that are there are reset
    blackhole     connections are taken, nothing is ever answered; what was asked is not passed on
    slow          answers come after `seconds`
    late          requests are passed on after `seconds`, their answers dropped, the connection cut
    lost_answer   the request is passed on and carried out; instead of an answer the connection is cut
    refuse        answered by the proxy: `status` of HTTP (503), `code` of CQL (0x1001 overloaded)
HTTP alone, for answers with a body:
    truncated     half of the body, then an end as if all had been sent
    reset         half of the body, then a reset
    corrupt       some bytes in the middle of the body are others
CQL alone:
    dropped       the request is carried out, its answer never comes; the connection lives on"""

import argparse
import asyncio
import collections
import contextlib
import json
import pathlib
import re
import socket
import struct
import subprocess
import sys
import threading
import time

KIND_WORDS = ("mails", "idx", "fts")


class Proxy:
    """Handle of a proxy process."""

    def __init__(self, protocol, upstream, port=0):
        self.protocol, self.upstream, self.port = protocol, upstream, port
        self.process = None
        self._lock = threading.Lock()

    def start(self):
        command = ["setpriv", "--pdeathsig", "KILL", sys.executable, pathlib.Path(__file__).resolve()]
        command += [self.protocol, self.upstream, "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.port = json.loads(self.process.stdout.readline())["port"]
        return self

    def set(self, fault, **options):
        self._ask(do="set", fault=fault, **options)

    def clear(self):
        self._ask(do="set", fault=None)

    def counts(self):
        return self._ask(do="counts")["counts"]

    def hits(self):
        """How often the present fault has hit something."""
        return self._ask(do="counts")["hits"]

    def held(self):
        """How many requests wait to be passed on (late), whoever sent them and whether he still lives."""
        return self._ask(do="counts")["held"]

    def reset(self):
        self._ask(do="reset")

    def record(self, path):
        """Into this file: time, connection, ">" or "<", what hits it, header and body in hexadecimal."""
        self._ask(do="record", path=str(path))

    def _ask(self, **what):
        with self._lock:
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    @contextlib.contextmanager
    def fault(self, name, **options):
        self.set(name, **options)
        try:
            yield self
        finally:
            self.clear()

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None


# ---- the process


class Fault:
    """What goes wrong now; `hit` decides about one request."""

    def __init__(self, name=None, kinds=(), every=1, limit=None, **options):
        self.name, self.kinds, self.every, self.limit, self.options = name, kinds, every, limit, options
        self.seen = self.hits = 0
        self.ended = asyncio.Event()

    def hit(self, kind):
        """The fault's name if it hits a request of this kind, else None."""
        if not self.name or (self.kinds and not kind.startswith(tuple(self.kinds))):
            return None
        self.seen += 1
        if self.seen % self.every or (self.limit is not None and self.hits >= self.limit):
            return None
        self.hits += 1
        return self.name


class Cut(Exception):
    """The connection ends here."""


class Front:
    """The listener and its connections."""

    def __init__(self, session, upstream, port):
        self.session = session
        host, _, number = upstream.rpartition(":")
        self.upstream = (host, int(number))
        self.host = host
        self.port = port
        self.fault = Fault()
        self.counts = collections.Counter()
        self.writers = set()
        self.busy = set()  # those of clients that wait for an answer
        self.server = None
        self.recording = None
        self.held = 0

    def record(self, connection, direction, hit, header, body):
        if self.recording:
            words = (f"{time.time():.3f}", id(connection), direction, hit or "-", *header, body.hex())
            print(*words, file=self.recording, flush=True)

    async def listen(self):
        self.server = await asyncio.start_server(self.connected, self.host, self.port, limit=1 << 20)
        self.port = self.server.sockets[0].getsockname()[1]

    async def set(self, fault):
        self.fault.ended.set()
        self.fault = fault
        if fault.name == "down":
            if self.server:
                self.server.close()
                self.server = None
            for writer in list(self.writers):
                abort(writer)
        elif not self.server:
            await self.listen()

    async def connected(self, reader, writer):
        self.writers.add(writer)
        self.counts["connections"] += 1
        up_writer = None
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.upstream, limit=1 << 20)
            self.writers.add(up_writer)
            await self.session(self, reader, writer, up_reader, up_writer)
        except (Cut, OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.busy.discard(writer)
            for each in (writer, up_writer):
                if each:
                    self.writers.discard(each)
                    each.close()

    async def hold(self, seconds):
        self.held += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.held -= 1

    async def wait(self, seconds):
        """So long, or until another fault is set."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.fault.ended.wait(), seconds)


def abort(writer):
    """Ends with a reset."""
    s = writer.get_extra_info("socket")
    if s:
        with contextlib.suppress(OSError):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# ---- HTTP


async def http_session(front, reader, writer, up_reader, up_writer):
    """Request after request on one connection."""
    while True:
        front.busy.discard(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        front.busy.add(writer)
        front.counts["at once"] = max(front.counts["at once"], len(front.busy))
        method, _, target = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        if b"100-continue" in head.lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = re.sub(rb"(?i)\r\nexpect:[^\r]*", b"", head)
        body = await http_body(reader, head)
        kind = http_kind(method, target)
        front.counts[kind] += 1
        front.counts["bytes out"] += len(body)
        hit = front.fault.hit(kind)
        if hit == "blackhole":
            await front.fault.ended.wait()
            raise Cut
        if hit == "late":
            await front.hold(front.fault.options["seconds"])
        if hit == "refuse":
            writer.write(http_refusal(front.fault.options.get("status", 503)))
            await writer.drain()
            continue
        options = front.fault.options
        up_writer.write(head + body)
        await up_writer.drain()
        answer = await up_reader.readuntil(b"\r\n\r\n")
        content = b"" if method == "HEAD" else await http_body(up_reader, answer, is_answer=True)
        front.counts["bytes in"] += len(content)
        if hit == "slow":
            await front.wait(options["seconds"])
        await http_answer(writer, hit, answer, content)
        if b"\r\nconnection: close" in answer.lower():
            raise Cut


async def http_answer(writer, hit, head, content):
    if hit in ("lost_answer", "late"):
        abort(writer)
        raise Cut
    if hit == "corrupt" and content:
        middle = len(content) // 2
        broken = bytes(b ^ 0x55 for b in content[middle : middle + 8])
        content = content[:middle] + broken + content[middle + 8 :]
    if hit in ("truncated", "reset") and content:
        writer.write(head + content[: len(content) // 2])
        await writer.drain()
        if hit == "reset":
            await asyncio.sleep(0.05)  # let it arrive: a reset overtakes what is on its way
            abort(writer)
        raise Cut
    writer.write(head + content)
    await writer.drain()


async def http_body(reader, head, is_answer=False):
    """The body as it came, with the marks of its chunks."""
    lower = head.lower()
    if b"\r\ntransfer-encoding: chunked" in lower:
        parts = []
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            rest = await reader.readexactly(size + 2) if size else await reader.readuntil(b"\r\n")
            parts += [line, rest]
            if not size:
                return b"".join(parts)
    found = re.search(rb"\r\ncontent-length: *(\d+)", lower)
    if found:
        return await reader.readexactly(int(found[1]))
    if is_answer and head[9:12] not in (b"204", b"304"):
        return await reader.read()
    return b""


def http_kind(method, target):
    """The method, and what the object is by its place."""
    path = target.split(" ")[0]
    if method == "POST":
        return "POST delete" if "?delete" in path else "POST"
    words = path.partition("?")[0].split("/")
    for word in KIND_WORDS:
        if word in words:
            return f"{method} {word}"
    return f"{method} list" if "list-type" in path or "prefix=" in path else f"{method} other"


def http_refusal(status):
    body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    head = f"HTTP/1.1 {status} Refused\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


# ---- CQL

ERROR, SUPPORTED, QUERY, RESULT, PREPARE, EXECUTE, BATCH = 0x00, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0D
OPCODES = {
    0x01: "STARTUP", 0x05: "OPTIONS", QUERY: "QUERY", PREPARE: "PREPARE", EXECUTE: "EXECUTE",
    0x0B: "REGISTER", BATCH: "BATCH", 0x0F: "AUTH",
}


class CqlConnection:
    """One connection; prepared texts are known to all of a front."""

    def __init__(self, front, writer, up_writer):
        self.front, self.writer, self.up_writer = front, writer, up_writer
        self.preparing = {}  # text by stream
        self.fates = {}  # by stream: what happens to its answer
        self.prepared = front.__dict__.setdefault("prepared", {})

    async def ask(self, header, body):
        """A request of the client."""
        _, _, stream, opcode, _ = header
        kind = self.kind(opcode, body)
        if opcode == PREPARE and len(body) >= 4:
            self.preparing[stream] = body[4 : 4 + struct.unpack(">I", body[:4])[0]].decode()
        self.front.counts[kind] += 1
        hit = self.front.fault.hit(kind)
        self.front.record(self, ">", hit, header, body)
        options = self.front.fault.options
        if hit == "blackhole":
            await self.front.fault.ended.wait()
            raise Cut
        if hit == "refuse":
            text = b"refused by the test"
            answer = struct.pack(">IH", options.get("code", 0x1001), len(text)) + text
            self.writer.write(struct.pack(">BBhBI", 0x84, 0, stream, ERROR, len(answer)) + answer)
            await self.writer.drain()
            return
        if hit == "late":
            await self.front.hold(options["seconds"])
        if hit:
            self.fates[stream] = (hit, options)
        self.up_writer.write(struct.pack(">BBhBI", *header) + body)
        await self.up_writer.drain()

    async def answer(self, header, body):
        version, flags, stream, opcode, size = header
        self.front.counts["bytes in"] += size
        if opcode == SUPPORTED:
            body = without_compression(body)
        text = self.preparing.pop(stream, None)
        if text and opcode == RESULT and body[:4] == b"\0\0\0\4":
            length = struct.unpack(">H", body[4:6])[0]
            self.prepared[body[6 : 6 + length]] = text
        hit, options = self.fates.pop(stream, (None, None))
        self.front.record(self, "<", hit, header, body)
        if hit in ("lost_answer", "late"):
            abort(self.writer)
            raise Cut
        if hit == "dropped":
            return
        if hit == "slow":
            asyncio.ensure_future(self.answer_later(header, body, options["seconds"]))
            return
        self.send(header, body)
        await self.writer.drain()

    async def answer_later(self, header, body, seconds):
        await self.front.wait(seconds)
        if not self.writer.is_closing():
            self.send(header, body)

    def send(self, header, body):
        self.writer.write(struct.pack(">BBhBI", *header[:4], len(body)) + body)

    def kind(self, opcode, body):
        """"EXECUTE SELECT table", "BATCH 3", ..."""
        name = OPCODES.get(opcode, f"{opcode:#x}")
        if opcode in (QUERY, PREPARE):
            return f"{name} {statement_kind(body[4 : 4 + struct.unpack('>I', body[:4])[0]].decode())}"
        if opcode == EXECUTE:
            length = struct.unpack(">H", body[:2])[0]
            return f"{name} {statement_kind(self.prepared.get(body[2 : 2 + length], '?'))}"
        return name


def statement_kind(text):
    """The verb and the table."""
    words = text.split()
    verb = words[0].upper() if words else "?"
    found = re.search(r"(?i)\b(?:from|into|update)\s+([\w.\"]+)", text)
    return f"{verb} {found[1].rpartition('.')[2]}" if found else verb


def without_compression(body):
    """SUPPORTED with CQL_VERSION alone, so that what follows can be read."""
    count, at, kept = struct.unpack(">H", body[:2])[0], 2, []
    for _ in range(count):
        start = at
        length = struct.unpack(">H", body[at : at + 2])[0]
        key = body[at + 2 : at + 2 + length]
        at += 2 + length
        items = struct.unpack(">H", body[at : at + 2])[0]
        at += 2
        for _ in range(items):
            at += 2 + struct.unpack(">H", body[at : at + 2])[0]
        if key != b"COMPRESSION":
            kept.append(body[start:at])
    return struct.pack(">H", len(kept)) + b"".join(kept)


async def cql_session(front, reader, writer, up_reader, up_writer):
    connection = CqlConnection(front, writer, up_writer)
    both = [
        asyncio.ensure_future(cql_frames(reader, connection.ask)),
        asyncio.ensure_future(cql_frames(up_reader, connection.answer)),
    ]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in both:
            each.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def cql_frames(reader, use):
    while True:
        header = struct.unpack(">BBhBI", await reader.readexactly(9))
        await use(header, await reader.readexactly(header[4]))


# ---- control


async def serve(args):
    front = Front({"http": http_session, "cql": cql_session}[args.protocol], args.upstream, args.port)
    await front.listen()
    tell(port=front.port)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    while line := await commands.readline():
        what = json.loads(line)
        do = what.pop("do")
        if do == "set":
            await front.set(Fault(what.pop("fault"), **what))
        elif do == "reset":
            front.counts.clear()
        elif do == "record":
            front.recording = open(what["path"], "w")
        tell(counts=dict(front.counts), hits=front.fault.hits, held=front.held)


def tell(**what):
    print(json.dumps(what), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("protocol", choices=["http", "cql"])
    parser.add_argument("upstream", help="HOST:PORT; the proxy listens at the same address")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
