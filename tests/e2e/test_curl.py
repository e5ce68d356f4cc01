# SPDX-License-Identifier: Apache-2.0
"""curl: list, fetch, append, search over imaps:// and STARTTLS."""

import pathlib
import subprocess
import tempfile

from kit import mails
from kit.testenv import need_program
from kit.waiting import PATIENCE_S

FORMS = ("roles", "all-in-one")


def curl(instance, user, path, *options, scheme="imaps", is_ok=True):
    need_program("curl")
    port = instance.imaps_port if scheme == "imaps" else instance.imap_port
    command = ["curl", "-sS", "--max-time", "20", "--cacert", instance.ca_file]
    command += ["-u", f"{user}:{instance.password}", *options, f"{scheme}://localhost:{port}/{path}"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode == 0) == is_ok, (done.returncode, done.stderr, done.stdout[:500])
    return done.stdout


def test_list(instance):
    out = curl(instance, instance.new_user(), "").decode()
    assert "INBOX" in out and "Sent" in out, out


def test_fetch(instance):
    user = instance.new_user()
    mail = mails.small("By curl", "line\r\n" * 1000)
    instance.deliver(mail, user)
    assert curl(instance, user, "INBOX;MAILINDEX=1").endswith(mail)
    assert curl(instance, user, "INBOX;UID=1;SECTION=TEXT") == mail[mail.index(b"\r\n\r\n") + 4 :]
    header = curl(instance, user, "INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)")
    assert header == b"Subject: By curl\r\n\r\n", header


def test_starttls(instance):
    user = instance.new_user()
    instance.deliver(mails.small("STARTTLS"), user)
    out = curl(instance, user, "INBOX;MAILINDEX=1", "--ssl-reqd", scheme="imap")
    assert b"Subject: STARTTLS" in out


def test_append_and_search(instance):
    user = instance.new_user()
    mail = mails.small("Uploaded", "body\r\n" * 5000)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "mail"
        path.write_bytes(mail)
        curl(instance, user, "INBOX", "--upload-file", str(path))
    assert curl(instance, user, "INBOX?SUBJECT%20Uploaded") == b"* SEARCH 1\r\n"
    assert curl(instance, user, "INBOX;MAILINDEX=1") == mail


def test_custom_requests(instance):
    user = instance.new_user()
    curl(instance, user, "", "-X", "CREATE Made")
    assert b"MESSAGES 0" in curl(instance, user, "", "-X", "STATUS Made (MESSAGES)")


def test_wrong_password_and_wrong_authority(instance):
    user = instance.new_user()
    curl(instance, user, "", "-u", f"{user}:wrong", is_ok=False)
    curl(instance, user, "", "--cacert", "/dev/null", is_ok=False)
