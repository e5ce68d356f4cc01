# SPDX-License-Identifier: Apache-2.0
"""mbsync (isync): two-way synchronisation with Maildir; two replicas converge under changes."""

import pathlib
import random
import shutil
import subprocess
import tempfile
import threading

from kit import mails
from kit.testenv import need_program

FORMS = ("roles", "all-in-one")
TIMEOUT_S = 180


class Replica:
    """A Maildir tree and the mbsync configuration that keeps it in step with a user's mail."""

    def __init__(self, instance, user):
        need_program("mbsync")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pombal-mbsync-"))
        self.store = self.dir / "mail"
        self.store.mkdir()
        self.config = self.dir / "mbsyncrc"
        self.config.write_text(f"""\
IMAPAccount server
Host localhost
Port {instance.imaps_port}
User {user}
Pass {instance.password}
SSLType IMAPS
CertificateFile {instance.ca_file}
SystemCertificates no

IMAPStore far
Account server

MaildirStore near
Path {self.store}/
Inbox {self.store}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
CopyArrivalDate yes
""")

    def sync(self):
        done = subprocess.run(
            ["mbsync", "-c", self.config, "-a"], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"mbsync: {done.stdout[-500:]}{done.stderr[-2000:]}"

    def folder(self, name):
        return self.store / name

    def files(self, name):
        folder = self.folder(name)
        return sorted(p for sub in ("cur", "new") for p in (folder / sub).glob("*"))

    def contents(self):
        """{folder: sorted [(subject, flags)]}"""
        out = {}
        for folder in sorted(p.parent for p in self.store.rglob("cur")):
            name = str(folder.relative_to(self.store))
            entries = []
            for path in self.files(name):
                flags = path.name.partition(":2,")[2]
                entries.append((subject_of(path.read_bytes()), "".join(sorted(flags))))
            out[name] = sorted(entries)
        return out

    def add(self, name, mail, number):
        for sub in ("cur", "new", "tmp"):
            (self.folder(name) / sub).mkdir(parents=True, exist_ok=True)
        body = mail.replace(b"\r\n", b"\n")
        (self.folder(name) / "cur" / f"{number}.local:2,S").write_bytes(body)

    def set_flags(self, path, flags):
        base = path.name.partition(":2,")[0]
        path.rename(path.parent.parent / "cur" / f"{base}:2,{flags}")

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def subject_of(mail):
    for line in mail.splitlines():
        if line.lower().startswith(b"subject:"):
            return line[8:].strip().decode()
    return ""


IMAP_TO_MAILDIR = {"\\Seen": "S", "\\Flagged": "F", "\\Answered": "R", "\\Deleted": "T", "\\Draft": "D"}


def server_contents(client):
    out = {}
    for name, attributes in client.list_names().items():
        if "\\Noselect" in attributes:
            continue
        entries = []
        if client.select(name).exists:
            got = client.fetch("1:*", "(FLAGS ENVELOPE)")
            for mail in got.values():
                flags = {IMAP_TO_MAILDIR.get(f.decode(), "") for f in mail["FLAGS"]}
                entries.append((mail["ENVELOPE"][1].decode(), "".join(sorted(flags))))
        out[name] = sorted(entries)
    return out


def test_two_way(instance):
    user = instance.new_user()
    for i in range(20):
        instance.deliver(mails.small(f"mail {i}"), user)
    replica = Replica(instance, user)
    try:
        with instance.imap(user) as c:
            c.do("CREATE Work/Deep")
            c.append("Work/Deep", mails.small("deep"), flags="\\Flagged")
            replica.sync()
            assert replica.contents() == server_contents(c)
            assert len(replica.files("INBOX")) == 20
            # Changes on both sides at once.
            files = replica.files("INBOX")
            replica.set_flags(files[0], "FS")
            files[1].unlink()
            replica.add("INBOX", mails.small("written here"), 1)
            c.select("INBOX")
            c.do("STORE 20 +FLAGS (\\Answered)")
            c.do("STORE 19 +FLAGS (\\Deleted)")
            c.do("EXPUNGE")
            instance.deliver(mails.small("came in"), user)
            replica.sync()
            replica.sync()
            have = replica.contents()
            assert have == server_contents(c)
            subjects = [subject for subject, _ in have["INBOX"]]
            assert len(subjects) == 20 and {"written here", "came in"} <= set(subjects), subjects
            assert ("came in", "") in have["INBOX"]
            assert sum(flags == "R" for _, flags in have["INBOX"]) == 1, have
    finally:
        replica.remove()


def test_contents_are_byte_for_byte(instance):
    user = instance.new_user()
    sent = [mails.realistic(seed) for seed in range(10)]
    for mail in sent:
        instance.deliver(mail, user)
    replica = Replica(instance, user)
    try:
        replica.sync()
        files = [p.read_bytes() for p in replica.files("INBOX")]
        for mail in sent:
            tail = mail.replace(b"\r\n", b"\n")
            body = tail[tail.index(b"\n\n") :]
            assert sum(f.endswith(body) for f in files) == 1
    finally:
        replica.remove()


def change_server(instance, user, seed, stop):
    """Deliveries, flags and expunges until told to stop."""
    rng = random.Random(seed)
    with instance.imap(user) as c:
        c.select()
        number = 0
        while not stop.is_set():
            number += 1
            instance.deliver(mails.small(f"s{seed}-{number}"), user)
            c.do("NOOP")
            count = len(c.search("ALL"))
            n = rng.randint(1, count)
            sign, flag = rng.choice("+-"), rng.choice(["\\Seen", "\\Flagged"])
            c.run(f"STORE {n} {sign}FLAGS ({flag})")
            if rng.random() < 0.2:
                c.run(f"STORE {rng.randint(1, count)} +FLAGS.SILENT (\\Deleted)")
                c.run("EXPUNGE")
            stop.wait(0.05)


def change_replica(replica, rng, number):
    files = replica.files("INBOX")
    if files and rng.random() < 0.5:
        rng.choice(files).unlink()
    files = replica.files("INBOX")
    if files:
        replica.set_flags(rng.choice(files), rng.choice(["S", "FS", "F", ""]))
    replica.add("INBOX", mails.small(f"{replica.dir.name}-{number}"), number)


def test_two_replicas_converge(instance):
    user = instance.new_user()
    for i in range(30):
        instance.deliver(mails.small(f"first {i}"), user)
    replicas = [Replica(instance, user) for _ in range(2)]
    rng = random.Random(7)
    stop = threading.Event()
    writer = threading.Thread(target=change_server, args=(instance, user, 1, stop))
    try:
        writer.start()
        for round_number in range(6):
            for replica in replicas:
                replica.sync()
                change_replica(replica, rng, round_number)
        stop.set()
        writer.join()
        for _ in range(2):
            for replica in replicas:
                replica.sync()
        replicas[0].sync()
        with instance.imap(user) as c:
            truth = server_contents(c)
        for replica in replicas:
            assert replica.contents() == truth
        subjects = [subject for subject, _ in truth["INBOX"]]
        assert len(subjects) == len(set(subjects)), "a mail was doubled"
    finally:
        stop.set()
        writer.join()
        for replica in replicas:
            replica.remove()
