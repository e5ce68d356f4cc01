# SPDX-License-Identifier: Apache-2.0
"""A small IMAP client that shows exactly what the server sent.

It parses every response line into nested lists of bytes (NIL becomes None), keeps the order of
untagged lines, and never hides or repairs anything. Use it to test dialogues; for how real clients
behave there are real clients.

    with instance.imap(user) as c:
        c.do("SELECT INBOX")
        c.do("APPEND INBOX", Literal(mail))
        c.fetch("1:*", "FLAGS")         # {1: {"FLAGS": [b"\\Seen"]}, ...}
"""

import re
import socket
import ssl
import time

from .waiting import PATIENCE_S


class ImapError(Exception):
    """A command did not end the way the test expects; .reply is what came."""

    def __init__(self, command, reply):
        super().__init__(f"{command!r} -> {reply}")
        self.reply = reply


class ConnectionEnded(Exception):
    """The server closed the connection; .lines are the untagged lines before that."""

    def __init__(self, lines):
        super().__init__(f"connection closed after {lines!r}")
        self.lines = lines


class Literal:
    """Bytes to send as a literal: {n} with a wait for "+", or {n+} without."""

    def __init__(self, data, plus=False):
        self.data = data
        self.plus = plus


class Reply:
    """The end of a command: status, response code, text, and the untagged lines before it."""

    def __init__(self, status, code, text, lines):
        self.status = status
        self.code = code
        self.text = text
        self.lines = lines

    def __str__(self):
        return f"{self.status} {self.code} {self.text!r} after {self.lines!r}"

    __repr__ = __str__

    def all(self, name):
        """Untagged lines whose first or second token is `name`."""
        want = name.upper().encode()
        return [line for line in self.lines if want in [_upper(t) for t in line[:2]]]

    def number(self, name):
        """N of the last `* N NAME` line; None if there was none."""
        found = [line for line in self.all(name) if line[0].isdigit()]
        return int(found[-1][0]) if found else None

    def untagged_code(self, name):
        """Arguments of the last `* OK [NAME ...]` line; None if there was none."""
        want = name.upper().encode()
        for line in reversed(self.lines):
            if line[0] in (b"OK", b"NO", b"BAD") and line[1] and line[1][0] == want:
                return line[1][1:]
        return None


def _upper(token):
    return token.upper() if isinstance(token, bytes) else token


class _Line:
    """One response as the wire has it: text pieces with literals between them."""

    def __init__(self):
        self.pieces = []  # bytes (text) and Literal, alternating


_ATOM = re.compile(rb'[^\s()"{\[\]]+')


def parse(pieces):
    """Nested lists from the pieces of one response."""
    stack = [[]]
    for piece in pieces:
        if isinstance(piece, Literal):
            stack[-1].append(piece.data)
            continue
        at = 0
        while at < len(piece):
            at = _parse_token(piece, at, stack)
    if len(stack) != 1:
        raise ValueError(f"unbalanced parentheses: {pieces!r}")
    return stack[0]


def _parse_token(text, at, stack):
    c = text[at : at + 1]
    if c == b" ":
        return at + 1
    if c == b"(":
        stack.append([])
        return at + 1
    if c == b")":
        if len(stack) == 1:
            raise ValueError(f"unbalanced parentheses: {text!r}")
        done = stack.pop()
        stack[-1].append(done)
        return at + 1
    if c == b'"':
        return _parse_quoted(text, at, stack)
    return _parse_atom(text, at, stack)


def _parse_quoted(text, at, stack):
    out = bytearray()
    at += 1
    while text[at : at + 1] != b'"':
        if at >= len(text):
            raise ValueError(f"unterminated string: {text!r}")
        if text[at] >= 0x80 or text[at] in (0, 13, 10):
            raise ValueError(f"byte {text[at]:#x} inside a quoted string: {text!r}")
        if text[at : at + 1] == b"\\":
            at += 1
        out += text[at : at + 1]
        at += 1
    stack[-1].append(bytes(out))
    return at + 1


def _parse_atom(text, at, stack):
    """An atom; a [section] belongs to it: BODY[HEADER.FIELDS (FROM)]<0>."""
    start = at
    depth = 0
    while at < len(text):
        c = text[at : at + 1]
        if c == b"[":
            depth += 1
        elif c == b"]":
            depth -= 1
        elif depth <= 0 and c in b' ()"':
            break
        at += 1
    if at == start:
        raise ValueError(f"cannot parse {text[start:]!r}")
    atom = text[start:at]
    stack[-1].append(None if atom.upper() == b"NIL" else atom)
    return at


def split_status(text):
    """(code tokens or None, text) of what follows OK, NO, BAD, BYE."""
    text = text.strip()
    if not text.startswith(b"["):
        return None, text
    end = text.find(b"]")
    code = parse([text[1:end]])
    if code:
        code[0] = code[0].upper()
    return code, text[end + 1 :].strip()


class Imap:
    def __init__(self, host, port, tls=None, timeout=PATIENCE_S):
        self.timeout = timeout
        self.note = None  # gets every bytes object that is sent, and the pieces of every response
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = bytearray()  # what is taken from its front and added to its end costs no copy of the rest
        self.tag_count = 0
        if tls:
            self.start_tls_now(tls)
        self.greeting = self.read_untagged()

    def start_tls_now(self, tls):
        self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    # ---- bytes

    def send(self, data):
        if self.note:
            self.note(data)
        self.sock.sendall(data)

    def _fill(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise ConnectionEnded([])
        self.input += data

    def _take_line(self):
        start = 0
        while (end := self.input.find(b"\r\n", start)) < 0:
            start = max(0, len(self.input) - 1)
            self._fill()
        line = self._cut(end)
        del self.input[:2]
        return line

    def _take(self, count):
        while len(self.input) < count:
            self._fill()
        return self._cut(count)

    def _cut(self, count):
        """The first bytes of the input, which is without them then."""
        with memoryview(self.input) as view:
            data = bytes(view[:count])
        del self.input[:count]
        return data

    def read_pieces(self):
        """One response with its literals."""
        pieces = []
        while True:
            line = self._take_line()
            literal = re.search(rb"~?\{(\d+)\}$", line)
            if not literal:
                pieces.append(line)
                if self.note:
                    self.note(pieces)
                return pieces
            pieces.append(line[: literal.start()])
            pieces.append(Literal(self._take(int(literal.group(1)))))

    # ---- responses

    def read_untagged(self):
        """The next untagged response, parsed; status lines become [OK, code, text]."""
        pieces = self.read_pieces()
        if not pieces[0].startswith(b"* "):
            raise ValueError(f"expected an untagged response: {pieces!r}")
        return self._parse_untagged(pieces)

    def _parse_untagged(self, pieces):
        pieces[0] = pieces[0][2:]
        word = pieces[0].split(b" ", 1)
        if word[0].upper() in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"):
            code, text = split_status(word[1] if len(word) > 1 else b"")
            return [word[0].upper(), code, text]
        return parse(pieces)

    def wait_untagged(self, is_wanted, timeout=PATIENCE_S):
        """Reads untagged responses until is_wanted(line); returns all that were read."""
        lines = []
        deadline = time.monotonic() + timeout
        try:
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not told within {timeout} s; told: {lines!r}")
                self.sock.settimeout(left)
                lines.append(self.read_untagged())
                if is_wanted(lines[-1]):
                    return lines
        except (socket.timeout, ssl.SSLWantReadError) as e:
            raise TimeoutError(f"not told within {timeout} s; told: {lines!r}") from e
        finally:
            self.sock.settimeout(self.timeout)

    def next_tag(self):
        self.tag_count += 1
        return f"t{self.tag_count}".encode()

    def read_reply(self, tag):
        """Reads up to the tagged response."""
        lines = []
        try:
            while True:
                pieces = self.read_pieces()
                if pieces[0].startswith(b"* "):
                    lines.append(self._parse_untagged(pieces))
                elif pieces[0].startswith(tag + b" "):
                    words = pieces[0].split(b" ", 2)
                    code, text = split_status(words[2] if len(words) > 2 else b"")
                    return Reply(words[1].upper().decode(), code, text.decode("latin-1"), lines)
                else:
                    raise ValueError(f"unexpected response {pieces!r} after {lines!r}")
        except ConnectionEnded:
            raise ConnectionEnded(lines) from None

    # ---- commands

    def start(self, *parts):
        """Sends a command without reading its reply; returns the tag. Text parts are joined by
        a space; a Literal waits for "+" unless it is .plus."""
        tag = self.next_tag()
        pending = tag
        for part in parts:
            if not isinstance(part, Literal):
                pending += b" " + (part.encode() if isinstance(part, str) else part)
                continue
            mark = b" {%d%s}\r\n" % (len(part.data), b"+" if part.plus else b"")
            if part.plus:
                pending += mark + part.data
                continue
            self.send(pending + mark)
            refused = self._wait_continuation(tag)
            if refused:
                self._refused = refused
                return tag
            pending = part.data
        self._refused = None
        self.send(pending + b"\r\n")
        return tag

    def _wait_continuation(self, tag):
        """None when the server said "+"; its reply when it refused the literal."""
        lines = []
        while True:
            pieces = self.read_pieces()
            if pieces[0].startswith(b"+"):
                return None
            if pieces[0].startswith(tag + b" "):
                words = pieces[0].split(b" ", 2)
                code, text = split_status(words[2] if len(words) > 2 else b"")
                return Reply(words[1].upper().decode(), code, text.decode("latin-1"), lines)
            lines.append(self._parse_untagged(pieces))

    def run(self, *parts):
        """Sends a command and returns its reply, whatever it is."""
        tag = self.start(*parts)
        return self._refused if self._refused else self.read_reply(tag)

    def do(self, *parts):
        """run(), and the reply must be OK."""
        reply = self.run(*parts)
        if reply.status != "OK":
            raise ImapError(parts, reply)
        return reply

    def refused(self, *parts, status="NO"):
        """run(), and the reply must be NO (or the other status that is given)."""
        reply = self.run(*parts)
        if reply.status != status:
            raise ImapError(parts, reply)
        return reply

    def login(self, user, password):
        return self.do("LOGIN", quote(user), quote(password))

    def select(self, mailbox="INBOX", verb="SELECT"):
        """Reply of SELECT with exists, uid_validity, uid_next, highest_modseq filled in."""
        reply = self.do(verb, quote(mailbox))
        reply.exists = reply.number("EXISTS")
        reply.uid_validity = _code_number(reply, "UIDVALIDITY")
        reply.uid_next = _code_number(reply, "UIDNEXT")
        reply.highest_modseq = _code_number(reply, "HIGHESTMODSEQ")
        return reply

    def fetch(self, messages, items, uid=False):
        """{sequence number: {item: value}}, or by UID."""
        reply = self.do(("UID FETCH" if uid else "FETCH"), messages, items)
        return fetched(reply.lines, by_uid=uid)

    def search(self, keys, uid=False):
        reply = self.do("UID SEARCH" if uid else "SEARCH", keys)
        lines = reply.all("SEARCH")
        if len(lines) != 1:
            raise ImapError(keys, reply)
        return [int(n) for n in lines[0][1:] if isinstance(n, bytes)]

    def status(self, mailbox, items="MESSAGES UIDNEXT UIDVALIDITY UNSEEN"):
        reply = self.do("STATUS", quote(mailbox), f"({items})")
        values = reply.all("STATUS")[0][2]
        return {values[i].decode(): int(values[i + 1]) for i in range(0, len(values), 2)}

    def list_names(self, pattern="*", verb="LIST"):
        """{name: set of attributes}"""
        reply = self.do(verb, '""', quote(pattern))
        return {line[3].decode(): {a.decode() for a in line[1]} for line in reply.all(verb)}

    def append(self, mailbox, mail, flags=None, date=None, plus=False):
        parts = ["APPEND", quote(mailbox)]
        if flags is not None:
            parts.append(f"({flags})")
        if date:
            parts.append(f'"{date}"')
        return self.do(*parts, Literal(mail, plus))

    def idle(self, take=lambda line: None):
        """Starts IDLE; the tag that idle_done() wants. `take` gets what is told before it begins."""
        tag = self.start("IDLE")
        while not (pieces := self.read_pieces())[0].startswith(b"+"):
            if not pieces[0].startswith(b"* "):
                raise ValueError(f"unexpected response {pieces!r}")
            take(self._parse_untagged(pieces))
        return tag

    def idle_done(self, tag):
        """What was told after idle() and is not read yet is in the reply."""
        self.send(b"DONE\r\n")
        reply = self.read_reply(tag)
        if reply.status != "OK":
            raise ImapError("DONE", reply)
        return reply

    def logout(self):
        reply = self.do("LOGOUT")
        self.close()
        return reply


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _code_number(reply, name):
    code = reply.untagged_code(name)
    return int(code[0]) if code else None


def fetched(lines, by_uid=False):
    """The FETCH lines among `lines` as {number: {item: value}}; later lines add to earlier."""
    out = {}
    for line in lines:
        if len(line) < 3 or _upper(line[1]) != b"FETCH":
            continue
        values = line[2]
        items = {values[i].upper().decode(): values[i + 1] for i in range(0, len(values), 2)}
        key = int(items["UID"]) if by_uid else int(line[0])
        out.setdefault(key, {}).update(items)
    return out


def set_numbers(text):
    """The numbers of a sequence set such as b"1:3,7"."""
    out = []
    for part in text.decode().split(","):
        first, _, last = part.partition(":")
        out += range(int(first), int(last or first) + 1)
    return out
