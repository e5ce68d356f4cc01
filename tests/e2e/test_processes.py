# SPDX-License-Identifier: Apache-2.0
"""The processes of an instance with real roles: who runs, as whom, and what happens when one dies."""

import os
import pathlib
import pwd
import signal

from kit import mails
from kit.imap import ConnectionEnded
from kit.instance import is_running, kill_process
from kit.testenv import Skip
from kit.waiting import wait_until

FORMS = ("roles",)
CONFIG = "mail_worker_count = 2\nshutdown_clients = no\n"


def status_fields(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_roles_are_there(instance):
    roles = [role for _, role in instance.processes()]
    assert roles.count("mail") == 2 and "login" in roles and "auth" in roles, roles


def test_roles_run_as_their_users(instance):
    if os.geteuid() != 0:
        raise Skip("only root can give roles users of their own")
    want = {"login": "dovenull", "auth": "dovecot", "mail": "vmail"}
    for pid, role in instance.processes():
        if role not in want:
            continue
        fields = status_fields(pid)
        uids = {int(word) for word in fields["Uid"].split()}
        gids = {int(word) for word in fields["Gid"].split()} | {int(w) for w in fields["Groups"].split()}
        assert uids == {pwd.getpwnam(want[role]).pw_uid}, (role, fields["Uid"])
        assert 0 not in gids, (role, fields["Gid"], fields["Groups"])
        assert int(fields["CapEff"], 16) == 0 and int(fields["CapPrm"], 16) == 0, (role, fields["CapEff"])


def test_mail_worker_that_dies_is_replaced(instance):
    users = [instance.new_user() for _ in range(8)]
    sessions = [instance.imap(user) for user in users]
    for session in sessions:
        session.select()
    victim = instance.settled("mail")[0]
    kill_process(victim)
    wait_until(lambda: len(set(instance.pids_of("mail")) - {victim}) == 2, "two workers again")
    ended = 0
    for session in sessions:
        try:
            session.do("NOOP")
        except (ConnectionEnded, OSError):
            ended += 1
        session.close()
    # Only the users of that worker felt it.
    assert 0 < ended < len(users), f"{ended} of {len(users)} sessions ended"
    for user in users:
        instance.imap_again(user).logout()
        instance.deliver(mails.small("after the crash"), user)


def test_auth_that_dies_is_replaced(instance):
    user = instance.new_user()
    with instance.imap(user) as session:
        (victim,) = instance.settled("auth")
        kill_process(victim)
        session.do("NOOP")
        wait_until(lambda: set(instance.pids_of("auth")) - {victim}, "another auth")
        instance.imap_again(user).logout()
        session.select()


def test_login_that_dies_is_replaced(instance):
    user = instance.new_user()
    for victim in instance.pids_of("login"):
        kill_process(victim)
    instance.imap_again(user).logout()
    instance.deliver(mails.small("lmtp again"), user)


def test_children_die_with_the_master(instance):
    children = [pid for role in ("mail", "auth", "login") for pid in instance.settled(role)]
    assert children
    os.kill(instance.pid, signal.SIGKILL)
    wait_until(lambda: not any(is_running(pid) for pid in children), "all children gone")
    instance.start()
    instance.imap(instance.user(1)).logout()


def test_reload_keeps_sessions(instance):
    with instance.imap(instance.new_user()) as session:
        at = len(instance.log_text())
        os.kill(instance.pid, signal.SIGHUP)
        instance.wait_for_log("the configuration was read again", at)
        session.select()
        instance.imap(instance.user(1)).logout()


def test_stop_says_goodbye(instance):
    session = instance.imap(instance.new_user())
    session.select()
    instance.stop()
    try:
        line = session.read_untagged()
        assert line[0] == b"BYE", line
    except ConnectionEnded:
        pass
    session.close()
    instance.start()
