# SPDX-License-Identifier: Apache-2.0
"""The catalog in Cassandra as an operator meets it: a cluster that is not there when the server starts,
tables that are not there, and making them. Nothing is started again in between."""

import contextlib
import os
import secrets
import select
import subprocess

from kit import mails
from kit.faultproxy import Proxy
from kit.storage import KEYSPACE, Storage
from kit.waiting import PATIENCE_S, wait_until

STORAGES = ("s3-cql",)
FORMS = ("roles",)
OWN_INSTANCE = True


@contextlib.contextmanager
def started_alone(instance):
    """The program by itself: ./run would deliver a mail, which cannot work here."""
    ready, tells = os.pipe()
    command = [instance.build.resolve() / "pombal", "-c", instance.config, "-F", "--ready-fd", str(tells)]
    process = subprocess.Popen(command, pass_fds=[tells], stdin=subprocess.DEVNULL, cwd=instance.dir)
    os.close(tells)
    try:
        assert select.select([ready], [], [], PATIENCE_S)[0] and os.read(ready, 64) == b"READY\n"
        yield
    finally:
        os.close(ready)
        process.terminate()
        assert process.wait(timeout=PATIENCE_S) == 0


def try_delivery(instance, user):
    with instance.lmtp() as c:
        c.envelope("s@example.org", user)
        (reply,) = c.send_data(mails.small("x"), 1)
        return reply.code


def refused_with(instance, user, word):
    """Everybody is told "not now", and the log says why."""
    before = len(instance.log_text())
    assert try_delivery(instance, user) == 451
    return word in instance.log_text()[before:]


def check_commands_when_made(instance):
    again = instance.doveadm("dictmap", "init")
    assert again.returncode == 0 and again.stdout == "", again
    status = instance.doveadm("dictmap", "status")
    assert status.returncode == 0 and "16 shards" in status.stdout and "clock: " in status.stdout, status
    assert "connected to 1 of 1 nodes" in status.stdout, status
    other = instance.doveadm("dictmap", "init", "--shards", "8")
    assert other.returncode == 1 and "mail_shard_count = 16" in other.stderr, other
    other = instance.doveadm("dictmap", "init", "--replication", "elsewhere:3")
    assert other.returncode == 1 and "ALTER KEYSPACE" in other.stderr, other
    assert instance.doveadm("dictmap", "init", "--shards", "x").returncode == 64
    assert instance.doveadm("dictmap", "init", "--replication", "a b").returncode == 89


def test_cluster_and_tables_may_come_later(make):
    proxy = Proxy("cql", Storage("local-cql").server("POMBAL_TEST_CQL")).start()
    try:
        instance = make(storage=Storage("local-cql", {"POMBAL_TEST_CQL": f"127.0.0.1:{proxy.port}"}))
        user = instance.new_user()
        instance.stop()
        settings = instance.dir / "storage.conf"
        keyspace = f"e2e_{secrets.token_hex(6)}"
        settings.write_text(settings.read_text().replace(
            f"cassandra_keyspace = {KEYSPACE}", f"cassandra_keyspace = {keyspace}"))
        proxy.set("down")
        with started_alone(instance):
            assert refused_with(instance, user, "no Cassandra node can be reached")
            assert instance.doveadm("dictmap", "init").returncode == 75
            proxy.clear()
            wait_until(lambda: refused_with(instance, user, "run `doveadm dictmap init`"))
            missing = instance.doveadm("dictmap", "status")
            assert missing.returncode == 75 and "run `doveadm dictmap init`" in missing.stderr, missing
            assert "data centre" in missing.stdout, missing.stdout
            shown = instance.doveadm("dictmap", "init", "--dry-run")
            assert shown.returncode == 0 and shown.stdout.count("CREATE TABLE") == 7, shown
            assert "NetworkTopologyStrategy" in shown.stdout and "'shards', '16'" in shown.stdout, shown.stdout
            assert refused_with(instance, user, "run `doveadm dictmap init`")
            made = instance.doveadm("dictmap", "init", "--shards", "16")
            assert made.returncode == 0 and made.stdout == shown.stdout, made
            wait_until(lambda: try_delivery(instance, user) == 250)
            with instance.imap(user) as c:
                assert c.select().exists == 1
            check_commands_when_made(instance)
    finally:
        proxy.stop()
