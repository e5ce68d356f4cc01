# SPDX-License-Identifier: Apache-2.0
"""mbsync (isync) as the tests use it: a Maildir that is kept in step with a user's mail."""

import pathlib
import shutil
import subprocess
import tempfile

from kit.testenv import need_program


class Replica:
    """A Maildir tree and the mbsync configuration that keeps it in step with a user's mail."""

    def __init__(self, instance, user, patterns="*"):
        need_program("mbsync")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pombal-mbsync-"))
        self.store = self.dir / "mail"
        self.store.mkdir()
        self.config = self.dir / "mbsyncrc"
        self.user = user
        self.patterns = patterns
        self.follow(instance)

    def follow(self, instance):
        """From now on it talks to this instance."""
        self.config.write_text(f"""\
IMAPAccount server
Host localhost
Port {instance.imaps_port}
User {self.user}
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
Patterns {self.patterns}
Create Both
Remove Both
Expunge Both
SyncState *
CopyArrivalDate yes
""")

    def run(self):
        return subprocess.run(
            ["mbsync", "-c", self.config, "-a"], capture_output=True, text=True, timeout=120
        )

    def sync(self):
        done = self.run()
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


def server_contents(client, names=None):
    """The same of the server; of the mailboxes `names`, or of all."""
    out = {}
    for name, attributes in client.list_names().items():
        if "\\Noselect" in attributes or (names and name not in names):
            continue
        entries = []
        if client.select(name).exists:
            got = client.fetch("1:*", "(FLAGS ENVELOPE)")
            for mail in got.values():
                flags = {IMAP_TO_MAILDIR.get(f.decode(), "") for f in mail["FLAGS"]}
                entries.append((mail["ENVELOPE"][1].decode(), "".join(sorted(flags))))
        out[name] = sorted(entries)
    return out
