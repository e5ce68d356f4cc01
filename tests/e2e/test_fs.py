# SPDX-License-Identifier: Apache-2.0
"""doveadm fs and fscache, on a stack with compression and encryption: what an administrator types, and
what lies in the files then."""

import hashlib
import pathlib
import subprocess

from kit import mails
from kit.waiting import PATIENCE_S

OWN_INSTANCE = True
STORAGES = ("local",)

SETTINGS = """
@fs_defaults = nfs
fs_posix_prefix = {dir}/shared/
crypt_global_public_key_file = {dir}/new.pub
crypt_global_private_key new {{
  crypt_private_key_file = {dir}/new.key
}}
crypt_global_private_key old {{
  crypt_private_key_file = {dir}/old.key
  crypt_private_key_password = between us
}}
"""


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=PATIENCE_S)


def make_keys(folder):
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes-256-cbc",
            "-pass", "pass:between us", "-out", folder / "old.key")
    openssl("genpkey", "-algorithm", "X25519", "-out", folder / "new.key")
    for name, password in (("old", "pass:between us"), ("new", "pass:")):
        openssl("pkey", "-in", folder / f"{name}.key", "-passin", password, "-pubout",
                "-out", folder / f"{name}.pub")


def prepare(instance, public="new.pub"):
    make_keys(instance.dir)
    (instance.dir / "shared").mkdir(mode=0o777)
    (instance.dir / "shared").chmod(0o777)
    text = SETTINGS.format(dir=instance.dir).replace("new.pub", public)
    instance.extra_config.write_text(text)


def fs(instance, *words, status=0, binary=False):
    done = subprocess.run([instance.build / "doveadm", "-c", instance.config, *words],
                          capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout if binary else done.stdout.decode()


def body(client, number):
    """The whole mail."""
    return str(client.fetch(str(number), "BODY.PEEK[]")[number]).encode()


def rows(text):
    return [line.split("\t") for line in text.splitlines()[1:]]


def test_objects_are_encrypted_and_every_command_sees_through(new_instance):
    instance = new_instance(config="# below", prepare=prepare)
    user = instance.new_user()
    marker = b"A sentence that must not be read on the disk."
    mail = mails.small("fs", body=marker.decode() + "\r\n")
    instance.deliver(mail, user)
    with instance.imap(user) as client:
        client.select()
        assert marker in body(client, 1)
    files = [p for p in (instance.dir / "shared" / user / "mails").iterdir()]
    assert len(files) == 1
    stored = files[0].read_bytes()
    assert stored.startswith(b"\x93PCRYPT") and marker not in stored

    name = f"{user}/mails/{files[0].name}"
    assert rows(fs(instance, "fs", "iter", "obox", f"{user}/mails/")) == [[files[0].name]]
    assert [user] in rows(fs(instance, "fs", "iter-dirs", "obox", ""))
    content = fs(instance, "fs", "get", "obox", name, binary=True)
    assert marker in content
    assert rows(fs(instance, "fs", "stat", "obox", name)) == [[name, str(len(content))]]
    fs(instance, "fs", "metadata", "obox", name, status=89)  # files have none

    fs(instance, "fs", "copy", "obox", name, f"{user}/extra/copy")
    assert fs(instance, "fs", "get", "obox", f"{user}/extra/copy", binary=True) == content
    source = instance.dir / "source"
    source.write_bytes(bytes(range(256)) * 4000)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    fs(instance, "fs", "put", "-h", "0" * 64, "obox", source, f"{user}/extra/put", status=89)
    fs(instance, "fs", "put", "-h", digest, "-m", "guid=1", "obox", source, f"{user}/extra/put")
    fs(instance, "fs", "put", "obox", source, f"{user}/extra/put", status=1)  # never overwritten
    assert fs(instance, "fs", "get", "obox", f"{user}/extra/put", binary=True) == source.read_bytes()
    fs(instance, "fs", "delete", "-R", "-n", "1", "obox", f"{user}/extra")
    assert rows(fs(instance, "fs", "iter", "obox", f"{user}/extra")) == []
    fs(instance, "fs", "get", "obox", f"{user}/extra/put", status=68)
    fs(instance, "fs", "get", "nothing", name, status=89)


def test_keys_are_rotated(new_instance):
    """What an old key encrypted is read as long as its private half is there."""
    instance = new_instance(config="# below", prepare=lambda i: prepare(i, "old.pub"))
    user = instance.new_user()
    instance.deliver(mails.small("by the old key"), user)
    text = instance.extra_config.read_text()
    instance.stop()
    instance.extra_config.write_text(text.replace("old.pub", "new.pub"))
    instance.start()
    instance.deliver(mails.small("by the new key"), user)
    with instance.imap(user) as client:
        client.select()
        assert b"by the old key" in body(client, 1)
        assert b"by the new key" in body(client, 2)


def test_rescan_counts_a_cache(new_instance):
    instance = new_instance(config="# below", prepare=prepare)
    cache = pathlib.Path(instance.dir) / "cache"
    (cache / "00").mkdir(parents=True)
    (cache / "00" / ("0" * 32)).write_bytes(b"x" * 5000)
    (cache / "00" / "somebody's file").write_bytes(b"x" * 5000)
    out = fs(instance, "fscache", "rescan", cache)
    assert "1 files, 8192 bytes" in out and "wrong: 0" in out, out
    assert "the size was right" in fs(instance, "fscache", "rescan", cache)
    assert "0 files removed" in fs(instance, "fscache", "rescan", cache, "1h")
    fs(instance, "fscache", "rescan", cache / "missing", status=68)
    fs(instance, "fscache", "rescan", cache, "soon", status=64)


def test_a_store_that_lies_is_not_believed(new_instance):
    """Who can write to the store cannot put other bytes under a name, nor plain ones for encrypted ones."""
    instance = new_instance(config="# below", prepare=prepare)
    user, other = instance.new_user(), instance.new_user()
    for i in range(2):
        instance.deliver(mails.small(f"mail {i}", body="x" * 200_000 + "\r\n"), user)
    instance.deliver(mails.small("of another user"), other)
    folder = instance.dir / "shared" / user / "mails"
    first, second = sorted(folder.iterdir())
    good, foreign = first.read_bytes(), second.read_bytes()
    theirs = next((instance.dir / "shared" / other / "mails").iterdir()).read_bytes()
    key = f"{user}/mails/{first.name}"
    content = fs(instance, "fs", "get", "obox", key, binary=True)
    plain_header = b"\x93PCRYPT\x01\x00\x10\x00\x00" + (32).to_bytes(4, "little") + bytes(16)
    lies = {
        "another mail": foreign, "another user's": theirs, "plain": b"From: a@b\r\n\r\nforged\r\n",
        "plain by its header": plain_header + b"From: a@b\r\n\r\nforged\r\n", "short": good[:-1],
        "long": good + b"x", "the head of one, the rest of another": good[:200] + foreign[200:], "empty": b"",
    }
    for what, lie in lies.items():
        first.write_bytes(lie)
        assert fs(instance, "fs", "get", "obox", key, status=75, binary=True) == b"", what
    first.write_bytes(good)
    assert fs(instance, "fs", "get", "obox", key, binary=True) == content
    assert "forged" not in instance.log_text()


def test_names_in_a_store_give_the_terminal_no_orders(new_instance):
    instance = new_instance(config="# below", prepare=prepare)
    folder = instance.dir / "shared" / "victim" / "mails"
    folder.mkdir(parents=True)
    for path in (folder.parent, folder):
        path.chmod(0o777)
    for name in ("one\ntwo", "\x1b]0;owned\x07", "\u009b2J", "tab\there", "ümlaut"):
        (folder / name).write_bytes(b"x")
    (instance.dir / "shared" / "\x1b[2J").mkdir(mode=0o777)
    out = fs(instance, "fs", "iter", "obox", "victim/mails")
    assert sorted(out.splitlines()[1:]) == sorted([
        "one\\x0atwo", "\\x1b]0;owned\\x07", "\\xc2\\x9b2J", "tab\\x09here", "ümlaut"])
    assert "\x1b" not in fs(instance, "fs", "iter-dirs", "obox", "")
