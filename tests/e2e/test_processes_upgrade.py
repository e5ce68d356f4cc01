# SPDX-License-Identifier: Apache-2.0
"""The program is replaced while it serves: no connection is refused, no mail lost or doubled."""

import os
import signal
import subprocess
import threading
import time

from kit import mails
from kit.imap import ConnectionEnded
from kit.instance import is_running
from kit.lmtp import LmtpEnded, LmtpError
from kit.waiting import wait_until

FORMS = ("roles",)
CONFIG = "mail_worker_count = 2\n"
USERS = 60


class Deliveries:
    """Delivers to users in turn, each mail until somebody says 250; knows what was promised."""

    def __init__(self, instance, users, name):
        self.instance, self.users, self.name = instance, users, name
        self.promised = {user: [] for user in users}
        self.uncertain = set()
        self.retries = 0
        self.error = None
        self.is_over = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        number = 0
        try:
            while not self.is_over:
                user = self.users[number % len(self.users)]
                self.deliver(f"{self.name}-{number}", user)
                number += 1
        except Exception as e:  # shown by end(), in the test's own thread
            self.error = e

    def deliver(self, mark, user):
        while True:
            try:
                self.instance.deliver(mails.marked(mark), user)
                self.promised[user].append(mark)
                return
            except LmtpError as e:
                # An MTA comes again; with the final reply it would be uncertain which.
                assert 400 <= e.reply.code < 500, e
                self.retries += 1
            except LmtpEnded:
                self.retries += 1
                self.uncertain.add(mark)

    def end(self):
        self.is_over = True
        self.thread.join(120)
        if self.error:
            raise self.error


class Logins:
    """Logs in and out all the time; a connection that is refused or a login that fails is an error."""

    def __init__(self, instance, user):
        self.instance, self.user = instance, user
        self.count = 0
        self.error = None
        self.is_over = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.is_over:
                session = self.instance.imap(self.user)
                try:
                    session.logout()
                except ConnectionEnded:
                    session.close()  # a session may end; the next login must succeed
                self.count += 1
        except Exception as e:
            self.error = e

    def end(self):
        self.is_over = True
        self.thread.join(120)
        if self.error:
            raise self.error


def marks_of(instance, user):
    with instance.imap(user) as session:
        session.select()
        reply = session.do("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (X-Mark)])")
    text = repr(reply.lines)
    return [word.split("\\")[0] for word in text.split("X-Mark: ")[1:]]


def test_the_master_stays_and_the_others_are_new(instance):
    before = {pid for pid, _ in instance.processes()}
    done = instance.doveadm("upgrade")
    assert done.returncode == 0 and done.stdout.split()[0] == "serving", done.stderr
    assert int(done.stdout.split()[1]) == instance.pid
    wait_until(lambda: not before & {pid for pid, _ in instance.processes()},
               "old processes without clients have left")
    instance.imap(instance.new_user()).logout()


def test_under_load(instance):
    users = [instance.new_user() for _ in range(8)]
    idling = [instance.imap(instance.new_user()) for _ in range(4)]
    for session in idling:
        session.select()
    deliveries = [Deliveries(instance, users[i::2], f"d{i}") for i in range(2)]
    logins = [Logins(instance, instance.new_user()) for _ in range(2)]
    for _ in range(3):
        time.sleep(0.5)
        done = instance.doveadm("upgrade")
        assert done.returncode == 0, done.stderr
    time.sleep(0.5)
    for worker in deliveries + logins:
        worker.end()
    assert all(worker.count > 0 for worker in logins)
    for session in idling:
        session.do("NOOP")
        session.logout()
    for worker in deliveries:
        for user, promised in worker.promised.items():
            assert promised, "no delivery came through"
            found = marks_of(instance, user)
            missing = set(promised) - set(found)
            assert not missing, f"lost: {missing}"
            doubled = {m for m in found if found.count(m) > 1} - worker.uncertain
            assert not doubled, f"doubled: {doubled}"


def open_session(instance, user, is_tls):
    session = instance.connect(is_tls=is_tls)
    session.login(user, instance.password)
    session.select()
    return session


def test_resting_sessions_live_on(instance):
    """Plain and TLS sessions, selected and idling, over two upgrades: nobody hears of it."""
    user = instance.new_user()
    instance.deliver(mails.marked("before"), user)
    sessions = [open_session(instance, user, is_tls) for is_tls in (True, False)]
    waiting = [open_session(instance, user, is_tls) for is_tls in (True, False)]
    for session in waiting:
        tag = session.next_tag()
        session.send(tag + b" IDLE\r\n")
        session.idle_tag = tag
        assert session.read_pieces()[0].startswith(b"+")
    for number in range(2):
        done = instance.doveadm("upgrade")
        assert done.returncode == 0, done.stderr
        instance.deliver(mails.marked(f"after {number}"), user)
        for session in waiting:
            session.wait_untagged(lambda line: b"EXISTS" in line)
        for session in sessions:
            session.do("NOOP")
            found = session.search("ALL")
            assert len(found) == 2 + number, found
    for session in waiting:
        session.send(b"DONE\r\n")
        assert session.read_reply(session.idle_tag).status == "OK"
        session.logout()
    for session in sessions:
        session.do("STORE", "1", "+FLAGS", "(\\Seen)")
        session.logout()
    # Old login processes stay for their TLS sessions alone, and leave with them.
    wait_until(lambda: len(instance.pids_of("login")) == 2, instance.processes)


def test_a_new_program_that_does_not_start(instance):
    """The trial fails: everything goes on as it was."""
    kept = instance.config.read_text()
    before = {role: instance.settled(role) for role in ("mail", "auth", "login")}
    at = len(instance.log_text())
    instance.config.write_text(kept + "\nbogus = 1\n")
    try:
        os.kill(instance.pid, signal.SIGUSR2)
        instance.wait_for_log("does not start, so the running program stays", at)
    finally:
        instance.config.write_text(kept)
    assert {role: instance.settled(role) for role in before} == before
    instance.imap(instance.new_user()).logout()


def states_of(instance, role):
    """Of each process of that role: its slot and what the master thinks of it."""
    return sorted((row["slot"], row["state"]) for row in instance.process_table() if row["name"] == role)


def begin_upgrade_that_halts(instance):
    """An upgrade that waits for a worker which does not let go of its users."""
    worker = instance.pids_of("mail")[0]
    os.kill(worker, signal.SIGSTOP)
    upgrade = subprocess.Popen([instance.build / "doveadm", "-c", instance.config, "upgrade"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: any(state == "leaving" for _, state in states_of(instance, "mail")),
               "a worker leaves")
    return worker, upgrade


def test_a_reload_waits_for_the_upgrade(instance):
    """A shard has one worker: nobody takes the place of one that has not left it."""
    worker, upgrade = begin_upgrade_that_halts(instance)
    reload = subprocess.Popen([instance.build / "doveadm", "-c", instance.config, "reload"])
    os.kill(instance.pid, signal.SIGHUP)
    try:
        time.sleep(1)  # what must not happen takes no longer
        assert all(state == "leaving" for _, state in states_of(instance, "mail")), states_of(instance, "mail")
    finally:
        os.kill(worker, signal.SIGCONT)
    assert upgrade.wait(60) == 0 and reload.wait(60) == 0
    wait_until(lambda: states_of(instance, "mail") == [("0", "serving"), ("1", "serving")],
               "one worker a place")
    instance.imap(instance.new_user()).logout()


def test_a_stop_in_the_middle(instance):
    worker, upgrade = begin_upgrade_that_halts(instance)
    os.kill(instance.pid, signal.SIGTERM)
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: not is_running(instance.pid), "it stops")
    upgrade.wait(60)
    assert "is killed" not in instance.log_text()
    instance.restart()
    instance.imap(instance.new_user()).logout()
