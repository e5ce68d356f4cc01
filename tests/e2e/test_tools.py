# SPDX-License-Identifier: Apache-2.0
"""doveconf and doveadm against a running instance: what an administrator types."""

import pathlib
import subprocess
import tempfile

from kit.waiting import PATIENCE_S

FORMS = ("roles", "all-in-one")


def tool(instance, name, *words, text=None):
    done = subprocess.run(
        [instance.build / name, *words], input=text, capture_output=True, text=True, timeout=PATIENCE_S
    )
    return done.returncode, done.stdout, done.stderr


def doveconf(instance, *words):
    status, out, err = tool(instance, "doveconf", "-c", instance.config, *words)
    assert status == 0, err
    return out


def test_doveconf_shows_what_is_set(instance):
    out = doveconf(instance, "-n")
    assert "protocols {\n  imap = yes\n  lmtp = yes\n}" in out, out
    assert f"port = {instance.imaps_port}" in out
    assert f"@fs_defaults = {instance.storage.objects}" in out and "mail_driver = obox" in out


def test_doveconf_shows_all_and_single_values(instance):
    out = doveconf(instance, "-a")
    assert len(out.splitlines()) > 200, out
    assert doveconf(instance, "-h", "mail_driver").strip() == "obox"
    assert "login_greeting = Pombal ready." in doveconf(instance, "login_greeting")


def test_doveconf_output_is_a_configuration(instance):
    """What -n prints, read again, prints the same."""
    first = doveconf(instance, "-n", "-P")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as copy:
        copy.write(first)
        copy.flush()
        status, second, err = tool(instance, "doveconf", "-c", copy.name, "-n", "-P")
    assert status == 0, err

    def settings(text):
        return [line for line in text.splitlines() if not line.startswith("#")]

    assert settings(second) == settings(first)


def test_all_mistakes_at_once(instance):
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as wrong:
        wrong.write("dovecot_config_version = 3.1.0\ndovecot_storage_version = 3.1.0\n"
                    "mail_max_userip_connection = 5\nssl = perhaps\nauth_cache_size = much\n}\n")
        wrong.flush()
        status, _, err = tool(instance, "doveconf", "-c", wrong.name, "-n")
    assert status != 0
    for line in (3, 4, 5, 6):
        assert f"{wrong.name}:{line}" in err, err
    assert "mail_max_userip_connections" in err, err


def test_settings_reference_is_current(instance):
    committed = pathlib.Path(__file__).resolve().parents[2] / "docs" / "settings.md"
    status, out, _ = tool(instance, "doveconf", "--settings-reference")
    assert status == 0 and out == committed.read_text(), "docs/settings.md is old: build it anew"


def test_auth_test(instance):
    user = instance.new_user()
    good = tool(instance, "doveadm", "-c", instance.config, "auth", "test", user, instance.password)
    assert good[0] == 0, good
    bad = tool(instance, "doveadm", "-c", instance.config, "auth", "test", user, "wrong")
    assert bad[0] != 0, bad


def test_pw_makes_hashes_that_log_in(instance):
    for scheme in ("SHA512-CRYPT", "BLF-CRYPT"):
        status, out, err = tool(instance, "doveadm", "pw", "-s", scheme, "-p", "secret word")
        assert status == 0 and out.startswith(f"{{{scheme}}}$"), (out, err)
