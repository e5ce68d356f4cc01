# SPDX-License-Identifier: Apache-2.0
"""swaks: a delivery by somebody else's LMTP client, by TCP and by UNIX socket."""

import pathlib
import subprocess
import tempfile

from kit import mails
from kit.testenv import need_program
from kit.waiting import PATIENCE_S

FORMS = ("roles", "all-in-one")


def swaks(mail, *options):
    need_program("swaks")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "mail"
        path.write_bytes(mail.replace(b"\r\n", b"\n"))
        command = ["swaks", "--protocol", "LMTP", "--from", "swaks@example.org", "--data", f"@{path}"]
        done = subprocess.run(command + list(options), capture_output=True, text=True, timeout=PATIENCE_S)
    return done.returncode, done.stdout + done.stderr


def received(instance, user):
    with instance.imap(user) as c:
        assert c.select().exists == 1
        return c.fetch("1", "BODY.PEEK[]")[1]["BODY[]"]


def test_tcp(instance):
    user = instance.new_user()
    mail = mails.small("By swaks", ".dots\r\n..\r\nend\r\n")
    status, out = swaks(mail, "--server", instance.host, "--port", str(instance.lmtp_port), "--to", user)
    assert status == 0, out
    # swaks ends the data with an empty line of its own.
    assert mail.rstrip() in received(instance, user)


def test_unix_socket(instance):
    user = instance.new_user()
    mail = mails.small("By socket")
    status, out = swaks(mail, "--socket", str(instance.dir / "run" / "lmtp"), "--to", user)
    assert status == 0, out
    assert mail.rstrip() in received(instance, user)


def test_unknown_recipient(instance):
    status, out = swaks(
        mails.small("x"), "--server", instance.host, "--port", str(instance.lmtp_port),
        "--to", "nobody@example.test",
    )
    assert status == 24 and "550 5.1.1" in out, (status, out)
