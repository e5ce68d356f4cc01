# SPDX-License-Identifier: Apache-2.0
"""Workers that crash or stand still: who is hurt, who is isolated, and how that ends."""

import ctypes
import os
import platform
import signal
import struct
import subprocess
import threading
import time

from kit import mails
from kit.imap import ConnectionEnded
from kit.testenv import Skip

FORMS = ("roles",)
CONFIG = "mail_worker_count = 2\nprocess_stall_limit = 3s\n"
TIMEOUT_S = {None: 90}

LIBC = ctypes.CDLL(None)
ROLE_FD_PAGE = 7  # main/role.h
# ipc/shared.h: magic, last turn, clients, memory; then task.h: generation, pid, user, operation
PAGE = struct.Struct("=I4xqQQIi256s256s")


def doveadm(instance, *words):
    return subprocess.run(
        [instance.build / "doveadm", "-c", instance.config, *words],
        capture_output=True, text=True, timeout=90,
    )


def process_table(instance):
    lines = doveadm(instance, "process", "status").stdout.splitlines()
    return [dict(zip(lines[0].split("\t"), line.split("\t"))) for line in lines[1:]]


def page_of(pid):
    """(user, operation) that the worker's page names now."""
    with open(f"/proc/{pid}/fd/{ROLE_FD_PAGE}", "rb") as f:
        fields = PAGE.unpack(f.read(PAGE.size))
    return fields[6].split(b"\0")[0].decode(), fields[7].split(b"\0")[0].decode()


def wait_until(is_true, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def log_in_again(instance, user, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        try:
            session = instance.imap(user)
            session.select()
            return session
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def worker_of(instance, user):
    """The mail process that serves the session which the caller keeps busy."""
    found = []

    def look():
        for pid in instance.pids_of("mail"):
            try:
                if page_of(pid)[0] == user:
                    found.append(pid)
            except OSError:
                continue
        return found

    wait_until(look, f"a worker that serves {user}")
    return found[0]


class Busy:
    """A session that runs commands all the time, so that its worker is often at work for it."""

    def __init__(self, instance, user):
        self.session = log_in_again(instance, user)
        self.is_over = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.is_over:
                self.session.do("UID SEARCH", "BODY", "nowhere")
        except (ConnectionEnded, OSError, AssertionError):
            pass

    def end(self):
        self.is_over = True
        self.thread.join(30)
        self.session.close()


def let_go(pid):
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass  # what kills also wakes


def crash_while_serving(instance, user):
    """Kills the worker at a moment at which it is at work for the user: stop it, look whom it serves,
    and let it go on or die."""
    busy = Busy(instance, user)
    try:
        pid = worker_of(instance, user)
        for _ in range(5000):
            os.kill(pid, signal.SIGSTOP)
            if page_of(pid)[0] == user:
                # To the thread that serves: it dies before it does anything else.
                assert LIBC.tgkill(pid, pid, signal.SIGSEGV) == 0
                let_go(pid)
                wait_until(lambda: pid not in instance.pids_of("mail"), "the death")
                return pid
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.001)
        raise AssertionError("the worker never served the user when we looked")
    finally:
        busy.end()


def fill(instance, user):
    for number in range(20):
        instance.deliver(mails.small(f"mail {number}" + " words" * 400), user)


def test_a_crash_names_the_user(instance):
    user = instance.new_user()
    fill(instance, user)
    pid = crash_while_serving(instance, user)
    wait_until(lambda: f"child {pid} killed" in instance.log_text(), "the line about the death")
    line = next(l for l in instance.log_text().splitlines() if f"child {pid} killed" in l)
    assert f"was serving user {user}" in line and "signal 11" in line, line
    log_in_again(instance, user).logout()
    assert "quarantine_started" not in doveadm(instance, "quarantine", "list").stdout


def test_the_second_crash_isolates_the_user(instance):
    user = instance.new_user()
    others = [instance.new_user() for _ in range(6)]
    fill(instance, user)
    for _ in range(2):
        crash_while_serving(instance, user)
        wait_until(lambda: len(instance.pids_of("mail")) >= 2, "workers again")
    wait_until(lambda: f"user {user} made his worker crash twice" in instance.log_text(), "event")
    assert user in doveadm(instance, "quarantine", "list").stdout
    wait_until(lambda: len(instance.pids_of("mail")) == 3, "a third worker")
    # He is served, by the third worker, and so is his mail; the others are not hurt by his crashes.
    busy = Busy(instance, user)
    own = worker_of(instance, user)
    busy.end()
    slots = {int(row["pid"]): row["slot"] for row in process_table(instance) if row["name"] == "mail"}
    assert slots[own] == "2", slots
    instance.deliver(mails.small("in quarantine"), user)
    sessions = [log_in_again(instance, other) for other in others]
    crash_while_serving(instance, user)
    for session in sessions:
        session.do("NOOP")
        session.close()
    # Back again, with all his mail.
    done = doveadm(instance, "quarantine", "release", user)
    assert done.returncode == 0, done.stderr
    assert len(instance.pids_of("mail")) == 2
    with log_in_again(instance, user) as session:
        assert session.select().exists == 21
    instance.deliver(mails.small("at home"), user)
    assert doveadm(instance, "quarantine", "release", user).returncode != 0


def spin(pid):
    """Makes the process's loop run in a circle: puts an endless jump where it waits."""
    if os.geteuid() != 0 or platform.machine() != "x86_64":
        raise Skip("writing into a process takes root and x86-64")
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: "(stopped)" in open(f"/proc/{pid}/status", encoding="ascii").read(), "the stop")
    fields = open(f"/proc/{pid}/syscall", encoding="ascii").read().split()
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(int(fields[-1], 16))
        memory.write(b"\xeb\xfe")
    os.kill(pid, signal.SIGCONT)


def test_a_worker_that_stands_still_is_replaced(instance):
    user = instance.new_user()
    session = log_in_again(instance, user)
    victim = instance.pids_of("mail")
    for pid in victim:
        spin(pid)
    wait_until(lambda: not set(victim) & set(instance.pids_of("mail")), "their end", 40)
    text = instance.log_text()
    for pid in victim:
        assert f"the loop of child {pid} has not turned" in text
    session.close()
    log_in_again(instance, user).logout()
    instance.deliver(mails.small("after the standstill"), user)


def test_who_is_stopped_is_no_standstill(instance):
    """A debugger, or the administrator, holds a process for longer than the limit."""
    user = instance.new_user()
    session = log_in_again(instance, user)
    held = instance.pids_of("mail")
    for pid in held:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(6)
    for pid in held:
        os.kill(pid, signal.SIGCONT)
    session.do("NOOP")
    session.logout()
    assert instance.pids_of("mail") == held


def test_processes_that_fail_at_once_are_throttled(instance):
    (auth,) = instance.pids_of("auth")
    for _ in range(3):
        pids = instance.pids_of("auth")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: set(instance.pids_of("auth")) - set(pids), "another auth")
    assert "command startup failed, throttling for 0.200 secs" in instance.log_text()
    log_in_again(instance, instance.new_user()).logout()
    assert auth not in instance.pids_of("auth")


