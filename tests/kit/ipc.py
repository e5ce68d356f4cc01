# SPDX-License-Identifier: Apache-2.0
"""Messages between roles (src/ipc/ipc.h), as a login process that somebody took over would send them."""

import array
import os
import pwd
import socket
import struct

AUTH_VERIFY, AUTH_LOOKUP, SESSION, DELIVER = 1, 2, 3, 4
MOVED_SESSION, MASTER = 15, 16
AUTH_INSPECT, AUTH_LIST, AUTH_CACHE_FLUSH = 23, 24, 25
DENIED = 3
HEAD = struct.Struct("<BBHIQ")


def _field(key, value):
    kind, data = (b"i", struct.pack("<q", value)) if isinstance(value, int) else (b"s", value)
    return bytes([len(key)]) + key.encode() + kind + struct.pack("<I", len(data)) + data


def _fields(data):
    found = {}
    while data:
        end = 1 + data[0]
        key, kind = data[1:end].decode(), data[end : end + 1]
        (n,) = struct.unpack_from("<I", data, end + 1)
        value = data[end + 5 : end + 5 + n]
        found[key] = struct.unpack("<q", value)[0] if kind == b"i" else value
        data = data[end + 5 + n :]
    return found


class Caller:
    """Calls one role, as the given user of the host if we may become him."""

    def __init__(self, path, user=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(30)
        self.number = 0
        who = pwd.getpwnam(user) if user and os.geteuid() == 0 else None
        if who:
            os.setegid(who.pw_gid)
            os.seteuid(who.pw_uid)
        try:
            self.socket.connect(str(path))
        finally:
            if who:
                os.seteuid(0)
                os.setegid(0)

    def call(self, kind, fds=(), **fields):
        """Returns the class of the outcome (0: good) and the reply's fields."""
        self.number += 1
        packet = HEAD.pack(1, kind, 0, self.number, 20_000_000)
        packet += b"".join(_field(key, value) for key, value in fields.items())
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([packet], rights)
        reply = self.socket.recv(1 << 17)
        _, _, result, number, _ = HEAD.unpack_from(reply)
        assert number == self.number
        return result, _fields(reply[HEAD.size :])

    def close(self):
        self.socket.close()
