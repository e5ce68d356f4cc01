# SPDX-License-Identifier: Apache-2.0
"""Logs: levels and their places, filters, JSON, the kept errors, rotation."""

import json
import pathlib
import re
import tempfile
import time

from kit import mails
from kit.waiting import wait_until

FORMS = ("roles", "all-in-one")
OWN_INSTANCE = True


def test_levels_filters_and_tools(make):
    with tempfile.TemporaryDirectory(prefix="pombal-log-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        instance = make(config=f"""info_log_path = {folder}/info.log
debug_log_path = {folder}/debug.log
log_timestamp = "%Y-%m-%d! "
log_debug = event=smtp_server_transaction_rcpt_finished AND status_code >= 500
""")
        check_levels(instance, folder)


def wait_for_words(path, words):
    """What the file holds, as soon as the words are in it."""
    wait_until(lambda: path.exists() and words in path.read_text(), f"{words} in {path.name}")
    return path.read_text()


def check_levels(instance, folder):
    user = instance.new_user()
    instance.deliver(mails.small("x"), user)
    with instance.lmtp() as c:
        c.expect(250, "MAIL FROM:<s@example.org>")
        c.expect(550, "RCPT TO:<nobody@example.test>")
    debug = wait_for_words(folder / "debug.log", "nobody@example.test")
    assert user not in debug, debug
    info = wait_for_words(folder / "info.log", "saved mail to INBOX")
    assert "Debug" not in info, info
    assert info[4:12].count("-") == 2 and "! " in info.splitlines()[0], info.splitlines()[0]
    found = instance.doveadm("log", "find").stdout
    assert f"Debug: {folder}/debug.log" in found and f"Info: {folder}/info.log" in found, found
    assert instance.doveadm("log", "test").returncode == 0
    wait_for_words(folder / "debug.log", "doveadm: Debug: This is a test of the Debug log")
    errors = instance.doveadm("log", "errors")
    assert errors.returncode == 0, errors.stderr
    lines = [line for line in errors.stdout.splitlines() if " doveadm: " in line]
    assert [line.split(": ")[1] for line in lines] == ["Warning", "Error", "Fatal"], errors.stdout
    later = instance.doveadm("log", "errors", "-s", str(int(time.time()) + 100))
    assert later.returncode == 0 and later.stdout == "", later.stdout
    assert instance.doveadm("log", "errors", "-s", "x").returncode == 64


def test_json(make):
    instance = make(config="log_format = json\n")
    user = instance.new_user()
    instance.deliver(mails.small("x"), user)
    instance.wait_for_log(re.compile(f"mail_delivery_finished.*{user}"))
    lines = [json.loads(line) for line in instance.log_text().splitlines() if line.startswith("{")]
    saved = [line for line in lines if line["event"] == "mail_delivery_finished"
             and line["fields"]["user"] == user]
    assert len(saved) == 1, saved
    assert saved[0]["category"] == "local-delivery" and saved[0]["fields"]["mailbox"] == "INBOX", saved


def test_a_wrong_filter_is_told(make):
    try:
        make(config='log_debug = "event="\n')
    except Exception as e:
        assert "log_debug" in str(e), e
    else:
        raise AssertionError("it started")
