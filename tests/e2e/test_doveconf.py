# SPDX-License-Identifier: Apache-2.0
"""doveconf as scripts and administrators use it: flags, formats, exit codes (docs/settings.md, doveconf -?)."""

import os
import pathlib
import subprocess
import tempfile

from kit.waiting import PATIENCE_S

FORMS = ("all-in-one",)

VERSIONS = "dovecot_config_version = 3.2.0\ndovecot_storage_version = 3.2.0\n"
EXIT_CONFIG, EXIT_TEMPFAIL, EXIT_USAGE = 89, 75, 64


def doveconf(instance, text, *words, **environment):
    """Exit status, output, errors; text None: no file is given."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "test.conf"
        command = [instance.build / "doveconf"]
        if text is not None:
            path.write_text(text)
            command += ["-c", path]
        done = subprocess.run(
            command + list(words), capture_output=True, text=True, timeout=PATIENCE_S,
            env={"PATH": os.environ["PATH"], **environment},
        )
        return done.returncode, done.stdout, done.stderr.replace(str(path), "FILE")


def good(instance, text, *words, **environment):
    status, out, err = doveconf(instance, VERSIONS + text, *words, **environment)
    assert status == 0, err
    return out


def test_heading_and_format(instance):
    out = good(instance, 'mail_plugins = quota\nlogin_greeting = " a # b"\nservice imap {\n'
                         "client_limit = 5\n}\nmail_home =\n", "-n").splitlines()
    assert out[0].startswith("# ") and out[0].endswith("test.conf"), out
    assert out[1].startswith("# OS: Linux ") and out[2].startswith("# Hostname: "), out
    assert out[3:] == [
        "dovecot_config_version = 3.2.0", "dovecot_storage_version = 3.2.0",
        'login_greeting = " a # b"', "mail_plugins {", "  quota = yes", "}",
        "service imap {", "  client_limit = 5", "}",
    ], out


def test_older_versions_are_counted(instance):
    status, out, _ = doveconf(instance, VERSIONS.replace("3.2.0", "3.1.0"), "-n")
    assert status == 0 and " default setting changes since version 3.1.0\n" in out
    assert "default setting changes" not in good(instance, "", "-n")


def test_values(instance):
    text = "ssl = required\nservice imap {\n  client_limit = 5\n}\nprotocol imap {\n  ssl = no\n}\n"
    for words, want in (
        (("ssl",), "ssl = required\n"),
        (("-h", "ssl"), "required\n"),
        (("-h", "service/imap/client_limit"), "5\n"),
        (("service/imap/client_limit",), "service/imap/client_limit = 5\n"),
        (("-f", "protocol=imap", "-h", "ssl"), "no\n"),
        (("-o", "ssl=yes", "-h", "ssl"), "yes\n"),
        (("-o", "ssl=yes", "-f", "protocol=imap", "-h", "ssl"), "yes\n"),
        (("-o", "service/imap/client_limit=7", "-h", "service/imap/client_limit"), "7\n"),
        (("-h", "recipient_delimiter"), "+\n"),
    ):
        assert good(instance, text, *words) == want, words


def test_explicit_defaults_only_with_N(instance):
    assert "ssl" not in good(instance, "ssl = yes\n", "-n")
    assert "\nssl = yes\n" in good(instance, "ssl = yes\n", "-N")


def test_all_and_hidden(instance):
    plain, everything = good(instance, "", "-a"), good(instance, "", "-s")
    assert "NOTE: Send doveconf -n" in plain
    assert "version_ignore" not in plain and "version_ignore = no" in everything


def test_built_in_defaults_and_groups(instance):
    assert "ssl = yes\n" in doveconf(instance, None, "-d")[1]
    assert doveconf(instance, None, "-d", "ssl")[1] == "ssl = yes\n"
    assert doveconf(instance, None, "-d", "-h", "ssl")[1] == "yes\n"
    assert "metric login_aborted {" in doveconf(instance, None, "-d", "@metric_defaults/proxy")[1]
    assert "@metric_defaults = backend\n" in doveconf(instance, None, "-d", "@metric_defaults")[1]
    assert doveconf(instance, None, "-d", "@moon")[0] == EXIT_CONFIG


def test_references_are_shown_as_written(instance):
    text = "mail_home = $ENV:WHERE\nmail_path = $SET:mail_home\n"
    assert "mail_home = $ENV:WHERE\nmail_path = $SET:mail_home\n" in good(
        instance, text, "-n", WHERE="/here")
    out = good(instance, text + "hostname = %{env:WHERE}/x\n", "-n", "-x", WHERE="/here")
    assert "mail_home = /here\nmail_path = /here\n" in out and "hostname = /here/x" in out, out


def test_secrets(instance):
    text = ("doveadm_password = first\nldap_auth_dn_password = second\nldap_uris = "
            "ldap://me:third@host/\npassdb static {\n  fields {\n    pass = fourth\n  }\n}\n")
    hidden, shown = good(instance, text, "-n"), good(instance, text, "-n", "-P")
    for word in ("first", "second", "third", "fourth"):
        assert word not in hidden and word in shown, (word, hidden, shown)
    assert "doveadm_password = # hidden, use -P to show it\n" in hidden
    assert "#hidden_use-P_to_show#" in hidden
    assert good(instance, text, "-h", "doveadm_password").startswith("# hidden")


def test_output_is_a_configuration(instance):
    text = ('login_greeting = " <x "\nmail_plugins {\n  "a b" = yes\n}\nrejection_reason = <<END\n'
            "one # two\n  EOF\nEOF\nEND\nnamespace \"a # b\" {\n  inbox = yes\n}\nnamespace = \"a # b\"\n"
            "mail_home = back\\slash\nmail_path = it's\nlocal 10.0.0.0/8 {\n  protocol !imap {\n"
            "    ssl = no\n  }\n}\n")
    def settings(out):
        return [line for line in out.splitlines() if not line.startswith("# ")]
    first = settings(good(instance, text, "-n", "-P"))
    second = settings(doveconf(instance, "\n".join(first) + "\n", "-n", "-P")[1])
    assert first == second and len(first) > 10, (first, second)


def test_errors(instance):
    status, out, err = doveconf(instance, VERSIONS + "ssl = x\nnonsens = 1\n}\n", "-n")
    assert status == EXIT_CONFIG and out == ""
    lines = err.splitlines()
    assert lines[0].startswith("doveconf: Error: FILE:3:7: ssl: Invalid value: x"), err
    assert lines[1].startswith("doveconf: Error: FILE:4:1: Unknown setting: nonsens"), err
    assert lines[2].startswith("doveconf: Error: FILE:5:1: Unexpected '}'"), err
    assert lines[3] == "doveconf: Fatal: 3 errors in FILE", err
    assert doveconf(instance, VERSIONS + "ssl = x\n", "-n", USE_SYSEXITS="1")[0] == EXIT_TEMPFAIL
    assert doveconf(instance, VERSIONS, "-?")[0] == EXIT_USAGE
    assert doveconf(instance, VERSIONS, "-h")[0] == EXIT_USAGE
    assert doveconf(instance, VERSIONS, "-h", "ssl", "listen")[0] == EXIT_CONFIG
    assert doveconf(instance, VERSIONS, "-h", "service")[0] == EXIT_CONFIG
    assert doveconf(instance, VERSIONS, "nonsense")[0] == EXIT_CONFIG
    assert doveconf(instance, None, "-c", "/nowhere/x.conf")[0] == EXIT_CONFIG


def test_one_value_in_spite_of_semantic_errors(instance):
    text = VERSIONS + "listen =\nmail_home = /x\n"
    assert doveconf(instance, text, "-n")[0] == EXIT_CONFIG
    assert doveconf(instance, text, "-h", "mail_home")[:2] == (0, "/x\n")


def test_unknown_and_obsolete(instance):
    status, out, err = doveconf(instance, VERSIONS + "nonsense = 1\nmail_home = /x\n", "-n", "-U")
    assert status == 0 and "Warning" in err and "mail_home = /x" in out
    text = VERSIONS + "ssl_cert = inline:x\n"
    _, out, err = doveconf(instance, text, "-n")
    assert "ssl_cert has been renamed to ssl_server_cert_file" in err and "doveconf -Pn" in err
    assert "ssl_server_cert_file = inline:x" in out
    assert doveconf(instance, text, "-n", "-w")[2] == ""


def test_check_reads_files_and_tells_what_is_absent(instance):
    text = VERSIONS + "ssl_server_cert_file = /nowhere/cert.pem\n"
    assert doveconf(instance, text, "-n")[0] == 0
    status, _, err = doveconf(instance, text, "-C")
    assert status == EXIT_CONFIG and "Can't open file /nowhere/cert.pem" in err
    status, out, err = doveconf(instance, VERSIONS + "fts_autoindex = yes\n", "-C")
    assert status == 0 and out == "" and "Debug: FILE:3:1: fts_autoindex is accepted" in err, err


def test_without_a_file(instance):
    status, out, _ = doveconf(instance, None, "-O", "-h", "ssl")
    assert (status, out) == (0, "yes\n")
    assert doveconf(instance, None, "-O", "-o", "ssl=no", "-h", "ssl")[1] == "no\n"


def test_machine_forms(instance):
    lines = doveconf(instance, None, "-I")[1].splitlines()
    assert "ssl\tone of\tyes" in lines and "passdb\tnamed list filter\t" in lines
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write(VERSIONS)
        conf.flush()
        dump = subprocess.run([instance.build / "doveconf", "-c", conf.name, "-F"],
                              capture_output=True, timeout=PATIENCE_S, check=True).stdout
    assert dump.startswith(b"pombal-config-")


def test_explain(instance):
    out = good(instance, "ssl = no\nssl = required\nprotocol imap {\n  ssl = yes\n}\n",
               "-w", "-E", "ssl")
    assert out.startswith("ssl = required\n  * ") and ":4:7 (file)" in out, out
    assert "weaker: file beats default" in out
    assert "protocol imap)" in out and "the connection filter doesn't match" in out
    inside = good(instance, "ssl = no\nprotocol imap {\n  ssl = yes\n}\n",
                  "-f", "protocol=imap", "-E", "ssl")
    assert inside.startswith("ssl = yes\n") and "weaker: it comes earlier" in inside, inside


def test_blocks_by_name(instance):
    text = "passdb static {\n  password = x\n}\nimapc {\n  imapc_host = h\n}\n"
    out = good(instance, text, "-P", "passdb")
    assert out == "passdb static {\n  password = x\n}\n", out
    assert good(instance, text, "-P", "passdb/static") == out
    assert "imapc_port = 143" in good(instance, text, "imapc/")
    assert "imapc_port" not in good(instance, text, "imapc")
    assert "inet_listener imaps {" in good(instance, text, "service/imap-login")


def test_place(instance):
    text = "mail_home = /all\nprotocol imap {\n  mail_home = /imap\n  mail_plugins = a\n}\n"
    out = good(instance, text, "-n", "-f", "protocol=imap")
    assert "mail_home = /imap\n" in out and "protocol imap" not in out, out
