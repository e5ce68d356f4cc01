# SPDX-License-Identifier: Apache-2.0
"""What each role can find in its own memory: the secrets that it works with, and no others."""

import os
import pathlib

from kit import doveadm_tcp
from kit.instance import free_port_base
from kit.testenv import Skip
from kit.waiting import wait_until

FORMS = ("roles",)
STORAGES = ("local",)
OWN_INSTANCE = True

STORAGE = {
    "fs_s3_secret": "planted-secret-of-s3",
    "fs_sproxyd_url": "http://user:planted-in-sproxyd@127.0.0.1:1/proxy/mail",
    "fs_azure_account_key": "cGxhbnRlZC1henVyZS1hY2NvdW50LWtleQ==",
    "fs_azure_auth_user_sas_client_secret": "planted-azure-client-secret",
    "cassandra_password": "planted-password-of-cassandra",
    "ssl_client_key_password": "planted-password-of-our-client-key",
}
STORAGE_URL = "http://key:planted-in-the-url-of-s3@127.0.0.1:1/mail"
STORAGE_HEADER = "planted-header-of-an-object-store"
PASSDB = "planted-password-of-everybody"
PASSDB_FIELD = "planted-field-of-a-passdb"
ADMIN = "planted-password-of-doveadm"  # of who lets hosts in, and of who calls them
NOBODY = {"doveadm_api_key": "planted-api-key"}
FROM_ENVIRONMENT = "planted-in-the-environment"


def settings(port, generation=""):
    """`generation` stands behind the secrets that a reload may change."""
    lines = [f"{name} = {value}" for name, value in STORAGE.items()]
    lines += [f"{name} = {value}{generation}" for name, value in NOBODY.items()]
    return "\n".join([
        *lines,
        doveadm_tcp.settings(port, password=f"{ADMIN}{generation}"),
        f"fs_s3_url = {STORAGE_URL}",
        f"fs_http_add_headers {{\n  Authorization = {STORAGE_HEADER}\n}}",
        "crypt_global_private_key main {\n  crypt_private_key_file = inline:" + KEY + "\n}",
        f"passdb last {{\n  driver = static\n  passdb_static_password = {PASSDB}{generation}",
        f"  fields {{\n    nopassword_of = {PASSDB_FIELD}{generation}\n  }}\n}}",
        "mail_worker_count = 1\nimport_environment {\n  KEPT = %{env:PLANTED_KEPT}\n}\n",
    ])


KEY = "planted-private-key-of-mails"
ENVIRONMENT = {"PLANTED": FROM_ENVIRONMENT, "AWS_SECRET_ACCESS_KEY": FROM_ENVIRONMENT,
               "PLANTED_KEPT": "what-is-imported"}


def memory_of(pid):
    """All that the process holds: its memory, and what its memory files hold."""
    out = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in open(f"/proc/{pid}/maps"):
            ends, rights = line.split()[:2]
            start, end = (int(x, 16) for x in ends.split("-"))
            if rights[0] != "r" or end >= 1 << 63 or end - start > 1 << 30:
                continue
            try:
                memory.seek(start)
                out.append(memory.read(end - start))
            except OSError:
                continue  # [vvar] and the like
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        if "memfd:" in os.readlink(entry):
            out.append(entry.read_bytes())
    return b"\0".join(out)


def found(instance, role, words):
    held = [memory_of(pid) for pid in instance.settled(role)]
    assert held and all(len(one) > 1 << 20 for one in held), f"memory of {role} cannot be read"
    return {word for word in words if any(word.encode() in one for one in held)}


def check(instance):
    storage = {*STORAGE.values(), STORAGE_URL, STORAGE_HEADER, KEY}
    passdb = {PASSDB, PASSDB_FIELD}
    tls = {(instance.dir / "ssl" / "server.key").read_text().splitlines()[1]}
    everything = storage | passdb | tls | set(NOBODY.values()) | {ADMIN, FROM_ENVIRONMENT}
    assert found(instance, "login", everything) == tls
    assert found(instance, "auth", everything) == passdb
    assert found(instance, "mail", everything) == storage | {ADMIN}
    assert found(instance, "doveadm", everything) == tls | {ADMIN}


def doveadm(instance, *words):
    done = instance.doveadm(*words)
    assert done.returncode == 0, done.stdout + done.stderr


def log_in(instance):
    instance.imap(instance.new_user()).logout()


def test_each_role_knows_what_it_needs(make):
    """At the start, after a reload and after an upgrade."""
    if os.geteuid() != 0:
        raise Skip("memory of other users' processes")
    port = free_port_base()
    instance = make(config=settings(port), env=ENVIRONMENT)
    log_in(instance)
    check(instance)
    for pid in instance.settled("mail"):
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        assert b"KEPT=what-is-imported\0" in environment and b"PLANTED" not in environment
    before = instance.settled("login")
    instance.extra_config.write_text(settings(port, "-second"))
    doveadm(instance, "reload")
    log_in(instance)
    check(instance)
    doveadm(instance, "upgrade")
    wait_until(lambda: not set(before) & set(instance.pids_of("login")), "the old login processes leave")
    log_in(instance)
    check(instance)
