# SPDX-License-Identifier: Apache-2.0
"""What the master tells systemd, and the sockets it takes from it; systemd is played by this test."""

import os
import pathlib
import signal
import socket
import subprocess
import time

from kit import mails

FORMS = ("roles",)
OWN_INSTANCE = True


class Notifications:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(20)

    def next(self, *wanted):
        """The fields of the next message that has one of the names in `wanted`."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            lines = self.socket.recv(4096).decode().splitlines()
            fields = dict(line.partition("=")[::2] for line in lines)
            if not wanted or any(name in fields for name in wanted):
                return fields
        raise AssertionError(f"no message with {wanted}")


def stop_master(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 0


def start_master(instance, environment, pass_fds=()):
    """As systemd does it: in the foreground, its own child."""
    return subprocess.Popen(
        [instance.build / "pombal", "-F", "-c", instance.config],
        env=dict(os.environ, **environment), pass_fds=pass_fds,
    )


def test_notifications(make):
    instance = make()
    instance.stop()
    told = Notifications(instance.dir)
    process = start_master(instance, {"NOTIFY_SOCKET": str(told.path), "WATCHDOG_USEC": "400000"})
    try:
        assert told.next("READY")["READY"] == "1"
        began = time.monotonic()
        for _ in range(3):
            assert told.next("WATCHDOG")["WATCHDOG"] == "1"
        assert time.monotonic() - began < 10
        process.send_signal(signal.SIGHUP)
        fields = told.next("RELOADING")
        clock = time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
        assert 0 <= clock - int(fields["MONOTONIC_USEC"]) < 20e6, fields
        assert told.next("READY")["READY"] == "1"
        # An upgrade keeps the process, and with it the right to notify.
        process.send_signal(signal.SIGUSR2)
        assert told.next("RELOADING")["RELOADING"] == "1"
        assert told.next("READY")["READY"] == "1"
        assert told.next("WATCHDOG")["WATCHDOG"] == "1"
        process.send_signal(signal.SIGTERM)
        assert told.next("STOPPING")["STOPPING"] == "1"
        assert process.wait(40) == 0
    finally:
        process.kill()


def test_children_do_not_see_the_variables(make):
    instance = make()
    instance.stop()
    told = Notifications(instance.dir)
    process = start_master(instance, {"NOTIFY_SOCKET": str(told.path)})
    try:
        told.next("READY")
        instance.pid = process.pid
        for pid, _ in instance.processes():
            assert b"NOTIFY_SOCKET" not in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        stop_master(process)
    finally:
        process.kill()


def test_sockets_of_systemd(make):
    """A client that connects before the start waits, and is served."""
    instance = make()
    instance.stop()
    told = Notifications(instance.dir)
    with socket.create_server((instance.host, instance.imap_port)) as given:
        early = socket.create_connection((instance.host, instance.imap_port), timeout=20)
        # LISTEN_PID must be the master's; descriptors begin at 3.
        command = 'exec env LISTEN_PID=$$ LISTEN_FDS=1 "$@" 3<&%d' % given.fileno()
        process = subprocess.Popen(
            ["sh", "-c", command, "sh", instance.build / "pombal", "-F", "-c", instance.config],
            env=dict(os.environ, NOTIFY_SOCKET=str(told.path)), pass_fds=[given.fileno()],
        )
        try:
            told.next("READY")
            assert early.recv(1000).startswith(b"* OK")
            early.close()
            instance.imap(instance.new_user()).logout()
            instance.deliver(mails.small("to the ports that the master bound"), instance.user(3))
            stop_master(process)
        finally:
            process.kill()
