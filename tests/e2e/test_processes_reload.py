# SPDX-License-Identifier: Apache-2.0
"""A new configuration for running processes: taken by all or by none; what doveadm says about it."""

import os
import signal
import socket
import ssl
import subprocess

from kit import mails
from kit.imap import ConnectionEnded, quote
from kit.testenv import Skip
from kit.waiting import PATIENCE_S, wait_for_success, wait_until

FORMS = ("roles",)
BASE = "mail_worker_count = 2\nshutdown_clients = no\n"
CONFIG = BASE


def reload(instance, config):
    instance.extra_config.write_text(config)
    return instance.doveadm("reload")


def greeting(instance, port):
    with socket.create_connection((instance.host, port), timeout=PATIENCE_S) as s:
        return s.recv(1000)


def refuses(instance, port):
    try:
        socket.create_connection((instance.host, port), timeout=PATIENCE_S).close()
    except OSError:
        return True
    return False


def serial_of(instance):
    context = ssl.create_default_context(cafile=instance.ca_file)
    with socket.create_connection((instance.host, instance.imaps_port), timeout=PATIENCE_S) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as s:
            return s.getpeercert()["serialNumber"]


def test_good_settings_are_used_and_sessions_stay(instance):
    before = {role: instance.settled(role) for role in ("mail", "auth", "login")}
    with instance.imap(instance.new_user()) as session:
        session.select()
        done = reload(instance, BASE + "login_greeting = Welcome to the new settings\n")
        assert done.returncode == 0, done.stderr
        assert b"Welcome to the new settings" in greeting(instance, instance.imap_port)
        session.do("NOOP")
    assert {role: instance.settled(role) for role in before} == before, "processes were started anew"
    instance.deliver(mails.small("after the reload"), instance.new_user())


def test_bad_settings_change_nothing(instance):
    reload(instance, BASE + "login_greeting = Before\n")
    done = reload(instance, BASE + "login_greeting = After\nbogus = 1\nssl = perhaps\n")
    assert done.returncode != 0
    assert "bogus" in done.stderr and "perhaps" in done.stderr, done.stderr
    assert b"Before" in greeting(instance, instance.imap_port)
    # The same over the signal: the problems are in the log.
    os.kill(instance.pid, signal.SIGHUP)
    instance.wait_for_log("the running configuration stays in use")
    assert b"Before" in greeting(instance, instance.imap_port)
    assert reload(instance, BASE).returncode == 0


def test_a_bad_certificate_changes_nothing(instance):
    """What only a role can find out: none of them uses the new configuration."""
    good = instance.dir / "ssl" / "server.pem"
    kept = good.read_text()
    try:
        good.write_text("-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n")
        done = reload(instance, BASE + "login_greeting = Not this one\n")
        assert done.returncode == 1 and "ssl_server_cert_file" in done.stderr, (done.returncode, done.stderr)
        assert b"Not this one" not in greeting(instance, instance.imap_port)
        serial_of(instance)
    finally:
        good.write_text(kept)
    assert reload(instance, BASE).returncode == 0


def test_a_certificate_whose_content_changed(instance):
    before = serial_of(instance)
    folder = instance.dir / "ssl"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "30"]
        + ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"]
        + ["-keyout", folder / "server.key", "-out", folder / "server.pem"]
        + ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key"]
        + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-addext", "basicConstraints=critical,CA:FALSE"],
        check=True, capture_output=True,
    )
    session = instance.imap(instance.new_user())
    assert serial_of(instance) == before, "nobody asked for it yet"
    done = instance.doveadm("reload")
    assert done.returncode == 0, done.stderr
    assert serial_of(instance) != before
    session.do("NOOP")
    session.close()


def test_listeners_come_and_go(instance):
    port = instance.port_base + 8  # reserved for metrics, which nobody serves yet
    more = "service imap-login {\n  inet_listener more {\n    port = %d\n  }\n}\n" % port
    assert refuses(instance, port)
    done = reload(instance, BASE + more)
    assert done.returncode == 0, done.stderr
    assert greeting(instance, port).startswith(b"* OK")
    # A port that is taken: all stays, also the listener of before.
    with socket.socket() as taken:
        taken.bind((instance.host, 0))
        taken.listen()
        other = more.replace(str(port), str(taken.getsockname()[1]))
        done = reload(instance, BASE + other)
        assert done.returncode != 0 and "Address already in use" in done.stderr, done.stderr
    assert greeting(instance, port).startswith(b"* OK")
    assert reload(instance, BASE).returncode == 0
    assert refuses(instance, port)
    assert greeting(instance, instance.imap_port).startswith(b"* OK")


def test_shutdown_clients_ends_sessions(instance):
    with instance.imap(instance.new_user()) as session:
        session.select()
        done = reload(instance, BASE + "shutdown_clients = yes\n")
        assert done.returncode == 0, done.stderr
        try:
            assert session.read_untagged()[0] == b"BYE"
        except ConnectionEnded:
            pass
    assert reload(instance, BASE).returncode == 0
    instance.imap(instance.new_user()).logout()


def test_settings_of_the_start_are_named(instance):
    done = reload(instance, BASE.replace("count = 2", "count = 3"))
    assert done.returncode == 0 and "mail_worker_count" in done.stdout, done.stdout
    assert len(instance.settled("mail")) == 2
    assert reload(instance, BASE).returncode == 0


def test_status(instance):
    session = instance.imap(instance.new_user())
    serving = {pid for role in ("mail", "auth", "login") for pid in instance.settled(role)}
    assert {int(row["pid"]) for row in instance.process_table()} == serving

    def clients():
        return sum(int(row["clients"]) for row in instance.process_table() if row["name"] == "mail")

    wait_until(lambda: clients() == 1, instance.process_table)  # sessions of before may still be leaving
    service = instance.doveadm("service", "status", "mail").stdout
    assert service.splitlines()[1].split("\t")[:3] == ["mail", "imap", "2"], service
    session.logout()


def test_logs_after_a_rotation(instance):
    """Roles cannot open files any more: the master does it for them."""
    log = instance.dir / "log" / "pombal.log"
    log.rename(log.with_suffix(".1"))
    done = instance.doveadm("log", "reopen")
    assert done.returncode == 0, done.stderr
    user = instance.new_user()
    instance.imap(user).logout()
    instance.deliver(mails.small("after the rotation"), user)
    for words in (f"Login: user=<{user}>", f"imap({user})", "saved mail to INBOX"):
        instance.wait_for_log(words)


def test_a_worker_that_is_short_of_memory_refuses_sessions(instance):
    """vsz_limit of service imap is what a worker may hold; a reload changes it."""
    user = instance.new_user()
    done = reload(instance, BASE + "service imap {\n  vsz_limit = 1M\n}\n")
    assert done.returncode == 0, done.stderr
    with instance.connect() as session:
        reply = session.refused("LOGIN", quote(user), quote(instance.password))
        assert reply.code == [b"UNAVAILABLE"], reply
    instance.wait_for_log("memory account")
    assert reload(instance, BASE).returncode == 0
    instance.imap(user).logout()


def test_places_do_not_change(instance):
    """Sockets, data and users of the host are those of the start: a process alone would look elsewhere."""
    sockets = sorted(os.listdir(instance.dir / "run" / "ipc"))
    # doveadm would look for the master there.
    instance.extra_config.write_text(BASE + f"base_dir = {instance.dir}/elsewhere\n")
    os.kill(instance.pid, signal.SIGHUP)
    instance.wait_for_log("base_dir cannot change")
    for line in (f"state_dir = {instance.dir}/elsewhere\n", "mail_uid = nobody\n",
                 "default_login_user = nobody\n",
                 "obox {\n fs compress {\n  fs_posix_prefix = elsewhere/\n }\n}\n",
                 "fs_s3_secret = other\n", "cassandra_keyspace = other\n", "cassandra_hosts = 192.0.2.1\n",
                 "dict_server {\n dict mails {\n  cassandra_port = 1\n }\n}\n"):
        done = reload(instance, BASE + line)
        word = line.split()[0]
        name = "obox" if word.startswith("fs_") else "cassandra_*" if word.startswith("cassandra_") else word
        assert done.returncode != 0 and f"{name} cannot change" in done.stderr, (line, done.stderr)
    assert sorted(os.listdir(instance.dir / "run" / "ipc")) == sockets
    assert reload(instance, BASE).returncode == 0
    user = instance.new_user()
    for pid in instance.pids_of("login"):
        os.kill(pid, signal.SIGKILL)
    wait_for_success(lambda: instance.imap(user).logout(), "somebody serves", errors=(OSError, ConnectionEnded))


def test_what_stores_keep_from_their_opening_is_told(instance):
    for line, name in (("metacache_close_delay = 9s\n", "metacache_*"),
                       ("http_client_request_max_attempts = 2\n", "http_client_*"),
                       ("namespace inbox {\n mailbox Extra {\n  auto = create\n }\n}\n", "namespace")):
        done = reload(instance, BASE + line)
        assert done.returncode == 0 and f"Warning: {name} takes effect for mail workers" in done.stdout, done
        reload(instance, BASE)
    done = reload(instance, BASE + "obox_garbage_min_age = 2 hours\nobox_garbage_interval = 1 min\n")
    assert done.returncode == 0 and done.stdout == "", done
    assert reload(instance, BASE).returncode == 0


def starting_login(instance):
    """A login process that is halted before it serves."""
    for _ in range(7):
        before = set(instance.pids_of("login"))
        os.kill(min(before), signal.SIGKILL)
        pid = wait_until(lambda: set(instance.pids_of("login")) - before, "a new login process").pop()
        os.kill(pid, signal.SIGSTOP)
        if any((row["pid"], row["state"]) == (str(pid), "starting") for row in instance.process_table()):
            return pid
        os.kill(pid, signal.SIGCONT)
    raise Skip("they start faster than we look")


def test_who_starts_meanwhile_takes_the_new_settings(instance):
    assert reload(instance, BASE + "login_greeting = Old words\n").returncode == 0
    late = starting_login(instance)
    done = reload(instance, BASE + "login_greeting = New words\n")
    os.kill(late, signal.SIGCONT)
    assert done.returncode == 0, done.stderr
    for pid in set(instance.pids_of("login")) - {late}:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: b"New words" in greeting(instance, instance.imap_port), "the new greeting")
    finally:
        for pid in instance.pids_of("login"):
            os.kill(pid, signal.SIGCONT)
