# SPDX-License-Identifier: Apache-2.0
"""An IMAP connection on an asyncio loop: many commands under way, each response used as it comes.

What is checked here is the dialogue itself: tagged replies come in the order of the commands, nothing
comes that is not announced, EXPUNGE never comes where numbers must stand still (RFC 3501 7.4.1).
What the responses say about a mailbox goes to the mirror (kit/mirror.py)."""

import asyncio
import collections
import re
import time

from kit.imap import Literal, parse, split_status
from kit.mirror import Fault

TRANSCRIPT_LINES = 60
LITERAL = re.compile(rb"~?\{(\d+)\}$")


class Ended(Exception):
    """The connection is gone; .text has the BYE."""


class NotNow(Exception):
    """Refused for now: what was asked for may have been done, or be done yet."""


class Command:
    """One command: .reply is set when its tagged reply came."""

    def __init__(self, tag, text, on_start):
        self.tag = tag
        self.text = text
        self.verb = verb_of(text)
        self.on_start = on_start
        self.done = asyncio.get_running_loop().create_future()
        self.continued = asyncio.get_running_loop().create_future()
        self.lines = []  # untagged responses while this was the oldest command
        self.status = self.code = None

    @property
    def numbers_stand(self):
        return self.verb in ("FETCH", "STORE", "SEARCH")

    @property
    def is_for_now(self):
        return Client.may_be_refused and self.status == "NO" and self.code == [b"UNAVAILABLE"]

    def __str__(self):
        return f"{self.text!r} -> {self.status} {self.code}"


def verb_of(text):
    words = text.upper().split(None, 2)
    return " ".join(words[:2]) if words[0] == "UID" else words[0]


class Client(asyncio.Protocol):
    """`mirror` may be None; `on_fault` is called once, with the text."""

    may_be_refused = False  # in a storm: the server may say "not now"
    deaf_every = 0  # of so many responses one is not heard: the control run, which must fail
    record = None  # a file that gets every line of every dialogue

    def __init__(self, name, on_fault, user=""):
        self.name = name
        self.user = user
        self.on_fault = on_fault
        self.mirror = None
        self.input = bytearray()
        self.pieces = []
        self.pending = collections.deque()
        self.transcript = collections.deque(maxlen=TRANSCRIPT_LINES)
        self.tag_count = 0
        self.greeting = asyncio.get_running_loop().create_future()
        self.bye = None
        self.is_closed = False
        self.has_failed = False
        self.heard = 0

    # ---- the connection

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        self.is_closed = True
        ended = Ended(self.bye or f"connection lost: {error}")
        for waiter in [self.greeting, *(w for c in self.pending for w in (c.done, c.continued))]:
            if not waiter.done():
                waiter.set_exception(ended)
                waiter.exception()  # nobody may be waiting

    def data_received(self, data):
        self.input += data
        try:
            self._take_responses()
        except Fault as e:
            self.fail(str(e))
        except (ValueError, IndexError, KeyError, TypeError) as e:
            self.fail(f"cannot be understood: {e!r}")

    def fail(self, text):
        if not self.has_failed:
            self.has_failed = True
            self.on_fault(self, text)

    def close(self):
        self.transport.close()

    def note(self, line):
        self.transcript.append(line[:220])
        note_line(self.user, self.name, line)

    # ---- responses

    def _take_responses(self):
        """Cuts whole responses, literals and all, out of what has come."""
        at = 0
        while True:
            end = self.input.find(b"\r\n", at)
            if end < 0:
                break
            line = bytes(self.input[at:end])
            literal = LITERAL.search(line)
            if not literal:
                self.pieces.append(line)
                at = end + 2
                pieces, self.pieces = self.pieces, []
                self._response(pieces)
                continue
            size = int(literal.group(1))
            if len(self.input) < end + 2 + size:
                break
            self.pieces.append(line[: literal.start()])
            self.pieces.append(Literal(bytes(self.input[end + 2 : end + 2 + size])))
            at = end + 2 + size
        del self.input[:at]

    def _response(self, pieces):
        first = pieces[0]
        self.note("S: " + " ".join(
            p.decode("latin-1") if isinstance(p, bytes) else text_of(p.data) for p in pieces))
        if first.startswith(b"* "):
            pieces[0] = first[2:]
            self._untagged(pieces)
        elif first.startswith(b"+"):
            if not self.pending or self.pending[0].continued.done():
                raise Fault(f"a continuation that nobody asked for: {first!r}")
            self.pending[0].continued.set_result(None)
        else:
            self._tagged(first)

    def _tagged(self, line):
        if not self.pending:
            raise Fault(f"a tagged reply without a command: {line!r}")
        command = self.pending[0]
        tag, _, rest = line.partition(b" ")
        if tag.decode() != command.tag:
            raise Fault(f"a reply to {tag!r}, but the oldest command is {command.tag} {command.text!r}")
        status, _, rest = rest.partition(b" ")
        command.status = status.decode().upper()
        command.code, command.reply_text = split_status(rest)
        self.pending.popleft()
        if not command.continued.done():
            command.continued.set_result(command.status)
        if self.pending:
            self._start(self.pending[0])
        if not command.done.done():
            command.done.set_result(command)
        if command.status == "BAD":
            raise Fault(f"BAD to {command.text!r}: {line!r}")

    def _untagged(self, pieces):
        word, _, rest = pieces[0].partition(b" ")
        command = self.pending[0] if self.pending else None
        upper = word.upper()
        if upper in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"):
            code, text = split_status(rest)
            line = [upper, code, text]
            if upper == b"BYE":
                self.bye = text.decode("latin-1")
            if not self.greeting.done():
                self.greeting.set_result(line)
        else:
            line = parse(pieces)
        if command:
            command.lines.append(line)
        self.heard += 1
        is_deaf = self.deaf_every and self.heard % self.deaf_every == 0
        if self.mirror is not None and not is_deaf:
            self.mirror.doing = f"{command.tag} {command.text[:60]}" if command else "nothing"
            self.mirror.take(line, lambda: self._check_expunge_allowed(command))

    def _check_expunge_allowed(self, command):
        if command is None:
            raise Fault("EXPUNGE while no command is under way")
        if command.numbers_stand:
            raise Fault(f"EXPUNGE during {command.text!r}")
        for later in self.pending:
            if later.numbers_stand and later is not command and later.was_sent_after_fixed:
                raise Fault(f"EXPUNGE during {command.text!r} with {later.text!r} sent already")

    # ---- commands

    def start(self, text, literal=None, on_start=None):
        """Sends a command at once; `on_start` is called when all earlier ones have ended."""
        self.tag_count += 1
        command = Command(f"{self.name}.{self.tag_count}", text, on_start)
        # Numbers may be used while only commands are open that keep them.
        command.was_sent_after_fixed = all(c.numbers_stand for c in self.pending)
        if self.is_closed:
            raise Ended(self.bye or "closed")
        self.note(f"C: {command.tag} {text}")
        data = f"{command.tag} {text}".encode()
        if literal is not None:
            data += b" {%d+}\r\n%s" % (len(literal), literal)
        self.pending.append(command)
        if len(self.pending) == 1:
            self._start(command)
        self.transport.write(data + b"\r\n")
        return command

    def _start(self, command):
        if command.on_start:
            command.on_start()

    def send_raw(self, data):
        self.note(f"C: {data!r}")
        self.transport.write(data)

    async def run(self, text, literal=None, on_start=None):
        """Sends a command and waits for its reply, whatever it is."""
        return await self.start(text, literal, on_start).done

    async def do(self, text, literal=None):
        """run(), and the reply must be OK."""
        command = await self.run(text, literal)
        if command.is_for_now:
            raise NotNow(command)
        if command.status != "OK":
            raise Fault(f"refused: {command} {command.reply_text!r}")
        return command


def text_of(data):
    return data[:80].decode("latin-1").strip() if len(data) < 200 else f"<{len(data)} bytes>"


def note_line(user, name, line):
    if Client.record:
        now = time.time()
        clock = time.strftime("%H:%M:%S", time.localtime(now)) + f"{now % 1:.3f}"[1:]
        Client.record.write(f"{clock} {user} {name} {line}\n")


async def connect(instance, name, on_fault, is_tls=False, user=""):
    loop = asyncio.get_running_loop()
    port = instance.imaps_port if is_tls else instance.imap_port
    tls = {"ssl": instance.tls_context(), "server_hostname": "localhost"} if is_tls else {}
    _, client = await loop.create_connection(lambda: Client(name, on_fault, user), instance.host, port, **tls)
    await client.greeting
    return client
