# SPDX-License-Identifier: Apache-2.0
"""Who may log in: SQL and passwd-file databases, SCRAM, master users, the cache, doveadm's questions."""

import atexit
import base64
import imaplib
import os
import shutil
import sqlite3
import subprocess
import tempfile

from kit import mails
from kit.sasl import Scram
from kit.testenv import Skip
from kit.waiting import PATIENCE_S

FORMS = ("roles", "all-in-one")

# Databases that auth's own user can reach: an instance's state is the workers'.
FOLDER = tempfile.mkdtemp(prefix="pombal-test-auth-")
os.chmod(FOLDER, 0o755)
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

CONFIG = f"""
auth_mechanisms = plain login scram-sha-1 scram-sha-256 scram-sha-1-plus scram-sha-256-plus
auth_master_user_separator = *
auth_username_chars =
auth_cache_size = 1M
auth_failure_delay = 1s
auth_internal_failure_delay = 100 ms
auth_verbose = yes
passdb sql {{
  sqlite_path = {FOLDER}/users.sqlite
  query = SELECT password, nologin, reason, note AS forward_note FROM users \\
    WHERE name = '%{{user}}' AND '%{{protocol}}' <> 'pop3'
}}
passdb masters {{
  driver = passwd-file
  master = yes
  passwd_file_path = {FOLDER}/masters
}}
userdb static {{
  result_success = continue-ok
}}
userdb sql {{
  sqlite_path = {FOLDER}/users.sqlite
  query = SELECT home FROM users WHERE name = '%{{user}}'
  iterate_query = SELECT name AS user FROM users
}}
"""

STORED = "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==," \
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="


def sql(text, *values):
    path = os.path.join(FOLDER, "users.sqlite")
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS users "
            "(name TEXT, password TEXT, home TEXT, nologin TEXT, reason TEXT, note TEXT)"
        )
        db.execute(text, values)
    db.close()
    os.chmod(path, 0o644)


def add(name, password, **fields):
    fields = {"home": f"home/{name}", "nologin": None, "reason": None} | fields
    sql(
        "INSERT INTO users VALUES (?, ?, ?, ?, ?, 'x')",
        name, password, fields["home"], fields["nologin"], fields["reason"],
    )


def doveadm(instance, *words):
    program = instance.build / "doveadm"
    done = subprocess.run(
        [program, "-c", instance.config, *words], capture_output=True, text=True, timeout=PATIENCE_S
    )
    return done.returncode, done.stdout, done.stderr


def client(instance):
    return imaplib.IMAP4_SSL(
        "localhost", instance.imaps_port, ssl_context=instance.tls_context(), timeout=PATIENCE_S
    )


def refusal(instance, user, password):
    try:
        client(instance).login(f'"{user}"', password)
    except imaplib.IMAP4.error as e:
        return str(e)
    raise AssertionError(f"{user} got in with {password}")


def scram(instance, mechanism, user, password, authorize=""):
    """None after a login, else what the server said."""
    dialogue = Scram(mechanism, user, password, authorize)
    try:
        client(instance).authenticate(mechanism, dialogue)
    except imaplib.IMAP4.error as e:
        return str(e)
    assert dialogue.is_proved
    return None


def test_sql_users_log_in(instance):
    add("sue@sql.test", "{PLAIN}pencil")
    client(instance).login("Sue@SQL.test", "pencil")
    unknown = refusal(instance, "nobody@sql.test", "pencil")
    assert refusal(instance, "sue@sql.test", "wrong") == unknown
    assert "AUTHENTICATIONFAILED" in unknown, unknown


def test_sql_values_are_no_statements(instance):
    add("ann@sql.test", "{PLAIN}pencil")
    with instance.connect() as c:
        for name in ("x' OR '1'='1", "ann@sql.test'--", "' UNION SELECT 'x"):
            c.refused("LOGIN", f'"{name}"', "pencil")


def test_several_rows_are_an_error(instance):
    add("twice@sql.test", "{PLAIN}one")
    add("twice@sql.test", "{PLAIN}two")
    assert "UNAVAILABLE" in refusal(instance, "twice@sql.test", "one")
    instance.wait_for_log("several rows")


def test_nologin_says_its_reason_to_who_knows_the_password(instance):
    add("moved@sql.test", "{PLAIN}pencil", nologin="y", reason="Moving house.")
    assert "Moving house." in refusal(instance, "moved@sql.test", "pencil")
    assert "Moving" not in refusal(instance, "moved@sql.test", "wrong")


def test_mail_reaches_sql_users(instance):
    add("lea@sql.test", "{PLAIN}pencil")
    instance.deliver(mails.small("hello", "text\r\n"), "lea@sql.test")
    c = client(instance)
    c.login("lea@sql.test", "pencil")
    assert c.select("INBOX")[1] == [b"1"]


def test_scram(instance):
    add("plain@sql.test", "{PLAIN}pencil")
    add("user@sql.test", STORED)
    for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
        assert scram(instance, mechanism, "plain@sql.test", "pencil") is None
    assert scram(instance, "SCRAM-SHA-256", "user@sql.test", "pencil") is None
    client(instance).login("user@sql.test", "pencil")
    told = scram(instance, "SCRAM-SHA-256", "user@sql.test", "wrong")
    assert "AUTHENTICATIONFAILED" in told, told
    # A hash that is of no use to the mechanism, another mechanism's, nobody's: all alike.
    for user in (instance.new_user(), "nobody@sql.test"):
        assert scram(instance, "SCRAM-SHA-256", user, "pencil") == told
    assert scram(instance, "SCRAM-SHA-1", "user@sql.test", "pencil") == told


def test_scram_with_channel_binding(instance):
    """GNU SASL over GnuTLS: both ends see the same tls-exporter bytes."""
    if not shutil.which("gsasl"):
        raise Skip("gsasl is not installed")
    add("bound@sql.test", "{PLAIN}pencil")
    for mechanism in ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"):
        for password, is_right in (("pencil", True), ("wrong", False)):
            done = subprocess.run(
                ["gsasl", "--imap", "-m", mechanism, "-a", "bound@sql.test", "-p", password,
                 "--starttls", f"--x509-ca-file={instance.ca_file}", "--quality=qop-auth",
                 "--connect", f"localhost:{instance.imap_port}"],
                input="", capture_output=True, text=True, timeout=PATIENCE_S,
            )
            assert (". OK" in done.stdout.split("AUTHENTICATE")[1]) == is_right, done.stdout
    with instance.connect(is_tls=False) as c:
        (offered,) = c.do("CAPABILITY").all("CAPABILITY")
        assert "PLUS" not in str(offered), offered


def test_mbsync_with_scram(instance):
    if not shutil.which("mbsync"):
        raise Skip("mbsync is not installed")
    add("sync@sql.test", "{PLAIN}pencil")
    instance.deliver(mails.small("hello", "text\r\n"), "sync@sql.test")
    folder = instance.dir / "scram-mbsync"
    (folder / "mail").mkdir(parents=True)
    (folder / "rc").write_text(
        f"IMAPStore far\nHost localhost\nPort {instance.imaps_port}\nSSLType IMAPS\n"
        f"CertificateFile {instance.ca_file}\nUser sync@sql.test\nPass pencil\n"
        f"AuthMechs SCRAM-SHA-256\n\nMaildirStore near\nPath {folder}/mail/\n"
        f"Inbox {folder}/mail/INBOX\n\nChannel c\nFar :far:\nNear :near:\nCreate Near\n"
        "SyncState *\n"
    )
    done = subprocess.run(
        ["mbsync", "-c", folder / "rc", "c"], capture_output=True, text=True, timeout=PATIENCE_S
    )
    if "SASL" in done.stderr and "mech" in done.stderr.lower():
        raise Skip("mbsync has no SCRAM here: " + done.stderr.strip())
    assert done.returncode == 0, done.stderr
    assert len(list((folder / "mail/INBOX/new").iterdir())) == 1


def test_scram_given_up(instance):
    add("giver@sql.test", "{PLAIN}pencil")
    with instance.connect() as c:
        tag = c.start("AUTHENTICATE SCRAM-SHA-256")
        c.read_pieces()
        first = Scram("SCRAM-SHA-256", "giver@sql.test", "pencil")(b"")
        c.send(base64.b64encode(first.encode()) + b"\r\n")
        c.read_pieces()
        c.send(b"*\r\n")
        assert c.read_reply(tag).status == "BAD"
        c.login("giver@sql.test", "pencil")


def test_master_users(instance):
    add("child@sql.test", "{PLAIN}pencil")
    path = os.path.join(FOLDER, "masters")
    with open(path, "w", encoding="utf-8") as f:
        f.write("boss:{PLAIN}master\n")
    os.chmod(path, 0o644)
    client(instance).login('"child@sql.test*boss"', "master")
    client(instance).authenticate("PLAIN", lambda _: "child@sql.test\0boss\0master")
    assert scram(instance, "SCRAM-SHA-256", "boss", "master", "child@sql.test") is None
    assert "AUTHENTICATIONFAILED" in refusal(instance, "child@sql.test*boss", "pencil")
    assert "AUTHENTICATIONFAILED" in refusal(instance, "child@sql.test*nobody", "master")
    assert "AUTHORIZATIONFAILED" in refusal(instance, "nobody@sql.test*boss", "master")
    assert "AUTHENTICATIONFAILED" in refusal(instance, "boss", "master")
    if not shutil.which("curl"):
        raise Skip("curl is not installed")
    subprocess.run(
        ["curl", "-sS", "--fail", "--cacert", instance.ca_file, "-u", "child@sql.test*boss:master",
         f"imaps://localhost:{instance.imaps_port}/INBOX", "-X", "NOOP"],
        check=True, timeout=PATIENCE_S,
    )


def test_cache_flush_and_changed_passwords(instance):
    user = "cached@sql.test"
    add(user, "{PLAIN}old")
    client(instance).login(user, "old")
    sql("UPDATE users SET password = '{PLAIN}new' WHERE name = ?", user)
    client(instance).login(user, "old")  # the cache does not know yet
    client(instance).login(user, "new")  # but looks again before it refuses
    assert "AUTHENTICATIONFAILED" in refusal(instance, user, "old")
    sql("UPDATE users SET password = '{PLAIN}newer' WHERE name = ?", user)
    client(instance).login(user, "new")
    status, out, err = doveadm(instance, "auth", "cache", "flush", "cached@*")
    assert status == 0 and out == "2 cache entries flushed\n", (out, err)
    assert "AUTHENTICATIONFAILED" in refusal(instance, user, "new")
    client(instance).login(user, "newer")
    status, out, err = doveadm(instance, "auth", "cache", "status")
    figures = dict(line.split(": ") for line in out.splitlines())
    assert int(figures["hits"]) > 0 and int(figures["used_size"]) > 0, (out, err)


def test_doveadm_auth(instance):
    add("adm@sql.test", "{PLAIN}pencil", nologin="y")
    status, out, _ = doveadm(instance, "auth", "test", "adm@sql.test", "pencil")
    assert status == 0 and out.startswith("passdb: adm@sql.test auth succeeded\n"), out
    assert "forward_note=x" in out and "pencil" not in out, out
    status, out, _ = doveadm(instance, "auth", "test", "adm@sql.test", "wrong")
    assert (status, out) == (77, "passdb: adm@sql.test auth failed\n")
    status, out, _ = doveadm(instance, "auth", "test", "-x", "service=imap", "adm@sql.test", "pencil")
    assert status == 77, out
    status, out, _ = doveadm(instance, "auth", "login", "adm@sql.test", "pencil")
    assert status == 0 and "userdb user: adm@sql.test\n" in out and "home=home/adm@sql.test" in out
    status, out, _ = doveadm(instance, "auth", "lookup", "adm@sql.test")
    assert status == 0 and "forward_note: x" in out and "pencil" not in out, out
    assert doveadm(instance, "auth", "lookup", "-f", "forward_note", "adm@sql.test")[1] == "x\n"
    assert doveadm(instance, "auth", "lookup", "nobody@sql.test")[0] == 67


def test_doveadm_user(instance):
    add("lister@sql.test", "{PLAIN}pencil")
    status, out, err = doveadm(instance, "user", "lister@sql.test")
    assert status == 0 and out.startswith("field\tvalue\nuser\tlister@sql.test\n"), (out, err)
    assert doveadm(instance, "user", "-f", "home", "lister@sql.test")[1] == "home/lister@sql.test\n"
    out = doveadm(instance, "user", "-e", "%{user | domain} %{userdb:home}", "lister@sql.test")[1]
    assert out == "sql.test home/lister@sql.test\n", out
    assert doveadm(instance, "user", "lis*")[1] == "lister@sql.test\n"
    assert "lister@sql.test" in doveadm(instance, "user", "-A")[1].splitlines()
    assert doveadm(instance, "user", "nobody@sql.test")[0] == 67
    assert doveadm(instance, "user", "zz*")[0] == 67


def test_doveadm_says_what_it_may_not(instance):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        raise Skip("needs root and setpriv")
    config = instance.dir / "readable.conf"
    config.write_text(instance.config.read_text())
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
         instance.build / "doveadm", "-c", instance.config, "user", "x"],
        capture_output=True, text=True, timeout=PATIENCE_S,
    )
    assert done.returncode != 0 and "ermission" in done.stderr, done.stderr


def test_pw(instance):
    status, out, _ = doveadm(instance, "pw", "-l")
    schemes = out.split()
    assert status == 0 and {"ARGON2ID", "SCRAM-SHA-256", "SSHA512"} <= set(schemes), out
    for scheme in schemes:
        if scheme == "PLAIN-TRUNC":
            continue
        words = ("pw", "-s", scheme, "-u", "u@x.test", "-p", "pencil")
        status, out, err = doveadm(instance, *words)
        assert status == 0, (scheme, err)
        hashed = out.strip()
        status, out, err = doveadm(instance, "pw", "-u", "u@x.test", "-p", "pencil", "-t", hashed)
        assert (status, out) == (0, f"{hashed} (verified)\n"), (scheme, err)
        assert doveadm(instance, "pw", "-u", "u@x.test", "-p", "encil", "-t", hashed)[0] == 77
    assert doveadm(instance, "pw", "-s", "BLF-CRYPT", "-r", "6", "-p", "x")[1].startswith(
        "{BLF-CRYPT}$2y$06$"
    )


def test_passwords_are_not_logged(instance):
    text = instance.log_text()
    for word in ("pencil", "master\n", "newer"):
        assert word not in text, word
