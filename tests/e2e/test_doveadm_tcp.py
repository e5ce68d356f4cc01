# SPDX-License-Identifier: Apache-2.0
"""Administration over TCP: who may come, what is understood, and what another host's doveadm sees."""

import base64
import socket

from kit import mails
from kit.doveadm import listable, table
from kit.doveadm_tcp import HELLO, PASSWORD, Raw, caller, plain, settings
from kit.instance import free_port_base
from kit.testenv import Skip

OWN_INSTANCE = True
FORMS = ("roles", "all-in-one")
STORAGES = ("local",)
TIMEOUT_S = 120


def serving(make, **wanted):
    """(instance, port, port with TLS)"""
    port = free_port_base()
    instance = make(users=4, config=settings(port, port + 1, **wanted))
    instance.deliver(mails.small("one"), instance.user(1))
    return instance, port, port + 1


def remote(instance, port, *words, **wanted):
    """doveadm at another host."""
    return instance.doveadm(*words, "-S", f"127.0.0.1:{port}", config=caller(instance, **wanted))


def test_commands_are_those_of_this_host(make):
    instance, port, _ = serving(make)
    user = instance.user(1)
    here = instance.doveadm("mailbox", "verify", "-u", user)
    there = remote(instance, port, "mailbox", "verify", "-u", user)
    assert there.returncode == here.returncode == 0 and there.stdout == here.stdout, (here, there)
    first = instance.doveadm("-S", f"127.0.0.1:{port}", "storage", "status", config=caller(instance))
    assert table(first)[0]["worker"] == "0", first
    assert instance.doveadm("-S", f"127.0.0.1:{port}", "log", "find").returncode == 64
    missing = ("mailbox", "verify", "-u", user, "nothing")
    here, there = instance.doveadm(*missing), remote(instance, port, *missing)
    assert here.returncode == there.returncode == 68 and "no mailbox nothing" in there.stderr, (here, there)
    instance.wait_for_log("cmd mailbox verify for")


def test_much_output_arrives_whole(make):
    instance, port, _ = serving(make)
    user = instance.user(1)
    with instance.imap(user) as client:
        for number in range(400):
            client.do(f"CREATE {'long-' * 30}{number}")
    here = instance.doveadm("mailbox", "verify", "-u", user)
    there = remote(instance, port, "mailbox", "verify", "-u", user)
    assert len(here.stdout) > 65536 and there.stdout == here.stdout, (here.stderr, there.stderr)


def test_a_wrong_password_says_nothing_and_is_logged_without_it(make):
    instance, port, _ = serving(make)
    done = remote(instance, port, "storage", "status", doveadm_password="not-this-one")
    assert done.returncode == 77 and done.stdout == "", done
    with Raw(port) as raw:
        assert raw.log_in(PASSWORD[:-1]) == b"-\n" and raw.line() == b""
    instance.wait_for_log("wrong name or password")
    encoded = base64.b64encode(b"\0doveadm\0not-this-one").decode()
    assert "not-this-one" not in instance.log_text() and encoded not in instance.log_text()


def test_without_a_password_nobody_comes_in(make):
    instance, port, _ = serving(make, password="")
    for password in ("", "x"):
        with Raw(port) as raw:
            assert raw.log_in(password) == b"-\n"
    instance.wait_for_log("doveadm_password is not set")


def test_tls(make):
    instance, port, tls_port = serving(make)
    for p, mode in ((tls_port, "ssl"), (port, "starttls")):
        done = remote(instance, p, "storage", "status", doveadm_ssl=mode, ssl_client_ca_file=instance.ca_file)
        assert done.returncode == 0 and table(done), done
        done = remote(instance, p, "storage", "status", doveadm_ssl=mode)
        assert done.returncode != 0 and done.stdout == "", done  # nobody vouches for it
        done = remote(instance, p, "storage", "status", doveadm_ssl=mode, ssl_client_require_valid_cert="no")
        assert done.returncode == 0, done
    with Raw(port) as raw:  # what came before the handshake is not believed after it
        raw.send(HELLO)
        raw.line()
        raw.send(b"STARTTLS\n" + plain())
        assert raw.line() == b""


def test_passwords_stay_away_from_the_open_where_tls_is_required(make):
    instance, port, _ = serving(make, more="ssl = required\n")
    with Raw(port) as raw:
        assert raw.log_in() == b"-\n"
    done = remote(instance, port, "storage", "status", doveadm_ssl="starttls", ssl_client_ca_file=instance.ca_file)
    assert done.returncode == 0, done


def test_only_allowed_commands(make):
    instance, port, _ = serving(make, more="doveadm_allowed_commands = storage-status\n")
    assert remote(instance, port, "storage", "status").returncode == 0
    done = remote(instance, port, "mailbox", "verify", "-u", instance.user(1))
    assert done.returncode == 77 and "doveadm_allowed_commands" in done.stderr, done


def test_nonsense_ends_the_connection_and_nothing_else(make):
    instance, port, _ = serving(make)
    for nonsense in (
        b"GET / HTTP/1.0\r\n\r\n",
        plain(),  # before VERSION
        HELLO + b"\tnobody\tstorage status\n",  # before the password
        b"VERSION\tdoveadm-server\t2\t0\n",
        b"x" * 20000,
        HELLO + b"PLAIN\t" + b"A" * 20000 + b"\n",
        bytes(range(256)),
    ):
        with Raw(port) as raw:
            try:
                raw.send(nonsense)
                raw.socket.shutdown(socket.SHUT_WR)
            except OSError:
                continue  # it has hung up already
            assert all(line.startswith(b"VERSION") for line in iter(raw.line, b"")), nonsense
    with Raw(port) as raw:
        assert raw.log_in() == b"+\n"
        assert raw.run("", "no such command")[1].startswith(b"-")
        assert raw.run("nobody", "mailbox verify", "--wrong")[1] == b"-USAGE\n"
        assert raw.run(instance.user(1), "metacache refresh", "-A", "-u", "another")[1] == b"+\n"
        lines, status = raw.run("", "storage status", "-S", "192.0.2.1:1")
        assert status == b"+\n" and lines, "an address in the arguments is asked nothing"
        raw.send(b"\tu\tstorage status" + b"\ta" * 100 + b"\n")
        assert raw.line() == b""
    assert not instance.problems(), instance.problems()


def test_who_has_no_password_says_little(make):
    instance, port, _ = serving(make)
    with Raw(port) as raw:
        try:
            raw.send((HELLO[:-1] + b"\t" + b"x" * 16000 + b"\n") * 1000)
        except OSError:
            pass  # it has hung up already
        assert len(list(iter(raw.line, b""))) <= 8
    instance.wait_for_log("too many lines before the password")
    assert remote(instance, port, "storage", "status").returncode == 0


def test_all_users_one_after_the_other(make):
    users = {f"u{number}@example.test" for number in range(1, 5)}
    instance, port, _ = serving(make, more=listable(users))
    for where in ((), ("-S", f"127.0.0.1:{port}")):
        done = instance.doveadm("metacache", "refresh", "-A", *where)
        assert done.returncode == 0 and {row["user"] for row in table(done)} == users, (where, done)
    done = instance.doveadm("metacache", "refresh", "-A", "-S", "127.0.0.1:1")
    assert done.returncode == 75 and done.stdout == "", done


def test_a_reload_changes_the_password(make):
    instance, port, _ = serving(make)
    if instance.is_all_in_one:
        raise Skip("one process reads its files once")
    with Raw(port) as before:
        assert before.log_in() == b"+\n"
        text = instance.extra_config.read_text()
        instance.extra_config.write_text(text.replace(PASSWORD, "another-word"))
        done = instance.doveadm("reload")
        assert done.returncode == 0, done
        assert before.run("", "storage status")[1] == b"+\n"
    assert remote(instance, port, "storage", "status").returncode == 77
    assert remote(instance, port, "storage", "status", doveadm_password="another-word").returncode == 0
