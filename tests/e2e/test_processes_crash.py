# SPDX-License-Identifier: Apache-2.0
"""Workers that crash or stand still: who is hurt, who is isolated, and how that ends."""

import ctypes
import os
import platform
import signal
import struct
import threading
import time

from kit import mails
from kit.imap import ConnectionEnded
from kit.testenv import Skip
from kit.waiting import wait_for_success, wait_until

FORMS = ("roles",)
CONFIG = "mail_worker_count = 2\nprocess_stall_limit = 5s\n"

LIBC = ctypes.CDLL(None)
ROLE_FD_PAGE = 7  # main/role.h
# ipc/shared.h: magic, last turn, clients, memory; then task.h: generation, pid, user, operation
PAGE = struct.Struct("=I4xqQQIi256s256s")


def page_of(pid):
    """(user, operation) that the worker's page names now."""
    with open(f"/proc/{pid}/fd/{ROLE_FD_PAGE}", "rb") as f:
        fields = PAGE.unpack(f.read(PAGE.size))
    return fields[6].split(b"\0")[0].decode(), fields[7].split(b"\0")[0].decode()


def log_in_again(instance, user):
    def log_in():
        session = instance.imap(user)
        session.select()
        return session

    return wait_for_success(log_in, f"{user} selects INBOX")


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
    line = instance.wait_for_log(f"child {pid} killed")[0]
    assert f"was serving user {user}" in line and "signal 11" in line, line
    log_in_again(instance, user).logout()
    assert "quarantine_started" not in instance.doveadm("quarantine", "list").stdout


def test_the_second_crash_isolates_the_user(instance):
    user = instance.new_user()
    others = [instance.new_user() for _ in range(6)]
    fill(instance, user)
    for _ in range(2):
        crash_while_serving(instance, user)
        wait_until(lambda: len(instance.pids_of("mail")) >= 2, "workers again")
    instance.wait_for_log(f"user {user} made his worker crash twice")
    assert user in instance.doveadm("quarantine", "list").stdout
    wait_until(lambda: len(instance.pids_of("mail")) == 3, "a third worker")
    # He is served, by the third worker, and so is his mail; the others are not hurt by his crashes.
    busy = Busy(instance, user)
    own = worker_of(instance, user)
    busy.end()
    instance.settled("mail")
    slots = {int(row["pid"]): row["slot"] for row in instance.process_table() if row["name"] == "mail"}
    assert slots[own] == "2", slots
    instance.deliver(mails.small("in quarantine"), user)
    sessions = [log_in_again(instance, other) for other in others]
    crash_while_serving(instance, user)
    for session in sessions:
        session.do("NOOP")
        session.close()
    # Back again, with all his mail.
    done = instance.doveadm("quarantine", "release", user)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: len(instance.pids_of("mail")) == 2, "his own worker leaves")
    with log_in_again(instance, user) as session:
        assert session.select().exists == 21
    instance.deliver(mails.small("at home"), user)
    assert instance.doveadm("quarantine", "release", user).returncode != 0


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
    victim = instance.settled("mail")
    for pid in victim:
        spin(pid)
    wait_until(lambda: not set(victim) & set(instance.pids_of("mail")), "their end")
    for pid in victim:
        instance.wait_for_log(f"the loop of child {pid} has not turned")
    session.close()
    log_in_again(instance, user).logout()
    instance.deliver(mails.small("after the standstill"), user)


def test_who_is_stopped_is_no_standstill(instance):
    """A debugger, or the administrator, holds a process for longer than the limit."""
    user = instance.new_user()
    session = log_in_again(instance, user)
    held = instance.settled("mail")
    for pid in held:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(8)  # what must not happen would be seen by then
    for pid in held:
        os.kill(pid, signal.SIGCONT)
    session.do("NOOP")
    session.logout()
    assert instance.settled("mail") == held


def test_processes_that_fail_at_once_are_throttled(instance):
    """Each end within ten seconds of the start doubles the pause."""
    (auth,) = instance.settled("auth")
    for _ in range(8):
        pids = instance.pids_of("auth")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: set(instance.pids_of("auth")) - set(pids), "another auth")
        if "command startup failed, throttling for 0.200 secs" in instance.log_text():
            break
    instance.wait_for_log("command startup failed, throttling for 0.200 secs")
    log_in_again(instance, instance.new_user()).logout()
    assert auth not in instance.pids_of("auth")
