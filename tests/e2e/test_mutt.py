# SPDX-License-Identifier: Apache-2.0
"""mutt: a person's session in a terminal, played through a pty."""

import os
import pathlib
import pty
import re
import select
import subprocess
import tempfile
import time

from kit import mails
from kit.testenv import need_program

FORMS = ("roles", "all-in-one")
STEP_S = 60


class Mutt:
    """mutt on a pseudo terminal of 100 x 30; press() types, wait_for() watches the screen."""

    def __init__(self, instance, user, home):
        need_program("mutt")
        self.dir = pathlib.Path(home)
        rc = self.dir / "muttrc"
        rc.write_text(f"""\
set folder=imaps://{user}@localhost:{instance.imaps_port}/
set spoolfile=+INBOX
set imap_user={user}
set imap_pass={instance.password}
set ssl_ca_certificates_file={instance.ca_file}
set header_cache={self.dir}/headers
set message_cachedir={self.dir}/bodies
set confirmappend=no delete=yes move=no quit=yes mark_old=no beep=no
set copy=no record= postponed= sleep_time=0 timeout=1
set sendmail=true from={user} realname=Tester
""")
        environment = dict(os.environ, TERM="vt100", HOME=str(self.dir), LINES="30", COLUMNS="100")
        master, slave = pty.openpty()
        self.process = subprocess.Popen(
            ["mutt", "-n", "-F", rc],
            stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
        )
        os.close(slave)
        self.terminal = master
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.terminal)

    def press(self, keys):
        self.text = ""
        os.write(self.terminal, keys.encode())

    def read_some(self, seconds):
        if not select.select([self.terminal], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.terminal, 65536)
        except OSError:
            return False  # the other end is closed: mutt ended
        self.text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()=>][0-9A-B]?|[\x0e\x0f]", "",
                            data.decode("utf-8", "replace"))
        return bool(data)

    def wait_for(self, pattern):
        deadline = time.monotonic() + STEP_S
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, f"no {pattern!r} on the screen: {self.text[-1500:]!r}"
            assert self.read_some(0.2), f"mutt ended before {pattern!r}: {self.text[-1500:]!r}"

    def wait_end(self):
        deadline = time.monotonic() + STEP_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"mutt does not end: {self.text[-1500:]!r}"
            self.read_some(0.1)
        assert self.process.returncode == 0, self.text[-1500:]


def test_read_flag_delete_copy(instance):
    user = instance.new_user()
    for i in range(1, 5):
        instance.deliver(mails.small(f"letter {i}", f"words of letter {i}\r\n"), user)
    with tempfile.TemporaryDirectory() as home, Mutt(instance, user, home) as m:
        m.wait_for("letter 4")
        m.press("1\r")
        m.press("\r")
        m.wait_for("words of letter 1")
        m.press("i")  # back to the index
        m.wait_for("letter 2")
        m.press("2\rF")  # flag
        m.press("3\rd")  # delete
        m.press("4\rC=Kept\r")  # copy to another mailbox, which must be made
        m.wait_for(r"Create .*\?|\(\[yes\]/no\)")
        m.press("y")
        m.wait_for("(?i)cop(ied|ying)|append|letter 4")
        m.press("$")  # write the changes
        m.wait_for("(?i)kept|deleted|expunging|written")
        m.press("q")
        m.wait_end()
    with instance.imap(user) as c:
        assert c.select().exists == 3
        got = c.fetch("1:*", "(FLAGS ENVELOPE)")
        flags = {m["ENVELOPE"][1]: set(m["FLAGS"]) for m in got.values()}
        assert b"\\Seen" in flags[b"letter 1"] and b"\\Flagged" in flags[b"letter 2"], flags
        assert b"letter 3" not in flags, flags
        assert c.status("Kept", "MESSAGES") == {"MESSAGES": 1}


def test_new_mail_appears(instance):
    user = instance.new_user()
    instance.deliver(mails.small("waiting"), user)
    with tempfile.TemporaryDirectory() as home, Mutt(instance, user, home) as m:
        m.wait_for("waiting")
        instance.deliver(mails.small("arrives later"), user)
        m.wait_for("arrives later")
        m.press("q")
        m.wait_end()


def test_header_cache_stays_valid(instance):
    """A second visit uses mutt's cache, keyed by UIDVALIDITY and UIDNEXT, and sees the new mail."""
    user = instance.new_user()
    for i in range(10):
        instance.deliver(mails.small(f"cached {i}"), user)
    with tempfile.TemporaryDirectory() as home:
        with Mutt(instance, user, home) as m:
            m.wait_for("cached 9")
            m.press("q")
            m.wait_end()
        instance.deliver(mails.small("fresh"), user)
        with Mutt(instance, user, home) as m:
            m.wait_for("cached 0")
            m.wait_for("fresh")
            m.press("q")
            m.wait_end()
