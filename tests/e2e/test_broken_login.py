# SPDX-License-Identifier: Apache-2.0
"""A login process that somebody took over: what it can say to the other roles, and what it gets for it."""

import os
import pwd
import socket

from kit import ipc, mails
from kit.testenv import Skip
from kit.waiting import PATIENCE_S

FORMS = ("roles",)
CONFIG = "mail_worker_count = 1\n"


def caller(instance, role):
    return ipc.Caller(instance.dir / "run" / "ipc" / role, user=login_user(instance))


def login_user(instance):
    if os.geteuid() != 0:
        return None


    uid = int(open(f"/proc/{instance.pids_of('login')[0]}/status").read().split("Uid:")[1].split()[0])
    return pwd.getpwuid(uid).pw_name


def ticket_of(instance, user, service):
    """A ticket without a password, as LMTP asks for one."""
    auth = caller(instance, "auth")
    result, reply = auth.call(ipc.AUTH_LOOKUP, user=user.encode(), service=service)
    auth.close()
    return result, reply.get("ticket", b"")


def try_session(instance, ticket, protocol):
    """What the worker says to a session with that ticket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    mail = caller(instance, "mail-0")
    result, _ = mail.call(ipc.SESSION, (theirs.fileno(),), protocol=protocol, ticket=ticket,
                          session=b"attack", tag=b"a")
    theirs.close()
    ours.settimeout(PATIENCE_S)
    said = ours.recv(4096)
    ours.close()
    mail.close()
    return result, said


def test_a_recipient_is_no_user(instance):
    """Whoever may ask for recipients gets tickets that deliver to them, and open nothing."""
    user = instance.new_user()
    instance.deliver(mails.marked("secret"), user)
    for service in (b"lmtp", b"imap", b"", b"doveadm"):
        result, ticket = ticket_of(instance, user, service)
        assert result == 0 or not ticket
        for protocol in (b"imap", service):
            result, said = try_session(instance, ticket, protocol)
            assert result == ipc.DENIED and said == b"", (service, protocol, result, said)


def test_a_ticket_opens_once(instance):
    user = instance.new_user()
    auth = caller(instance, "auth")
    result, reply = auth.call(ipc.AUTH_VERIFY, user=user.encode(), service=b"imap", mechanism=b"PLAIN",
                              password=instance.password.encode(), session=b"attack")
    auth.close()
    assert result == 0
    assert try_session(instance, reply["ticket"], b"imap")[0] == 0
    assert try_session(instance, reply["ticket"], b"imap") == (ipc.DENIED, b"")


def test_what_is_for_root_and_workers_alone(instance):
    if os.geteuid() != 0:
        raise Skip("without root all processes are one user")
    auth, mail = caller(instance, "auth"), caller(instance, "mail-0")
    for kind in (ipc.AUTH_INSPECT, ipc.AUTH_LIST, ipc.AUTH_CACHE_FLUSH):
        assert auth.call(kind, user=b"u1@example.test")[0] == ipc.DENIED
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    assert mail.call(ipc.MOVED_SESSION, (theirs.fileno(),), session=b"x" * 100)[0] == ipc.DENIED
    ours.close(), theirs.close(), auth.close(), mail.close()
    try:
        caller(instance, "master").close()
    except PermissionError:
        return
    raise AssertionError("the master took a connection of login")


def test_descriptors_of_other_kinds(instance):
    """A session or a mail that is no connection and no file hurts nobody else."""
    user = instance.new_user()
    before = instance.settled("mail")
    listening = socket.socket()
    listening.listen()
    ends = os.pipe()
    memory = os.memfd_create("mail")
    os.write(memory, b"From: a@b\r\n\r\nbody\r\n")
    for fd in (listening.fileno(), ends[0], ends[1], os.open("/", os.O_RDONLY), memory):
        auth, mail = caller(instance, "auth"), caller(instance, "mail-0")
        _, reply = auth.call(ipc.AUTH_VERIFY, user=user.encode(), service=b"imap", mechanism=b"PLAIN",
                             password=instance.password.encode(), session=b"attack")
        mail.call(ipc.SESSION, (fd,), protocol=b"imap", ticket=reply["ticket"], session=b"attack",
                  tag=b"a")
        for size in (0, 20, 1 << 40):
            _, reply = auth.call(ipc.AUTH_LOOKUP, user=user.encode(), service=b"lmtp")
            mail.call(ipc.DELIVER, (fd,), ticket=reply["ticket"], session=b"attack", sender=b"x@y",
                      recipient=user.encode(), size=size)
        auth.close(), mail.close()
    listening.close()
    instance.imap(user).logout()
    assert instance.settled("mail") == before
