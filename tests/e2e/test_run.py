# SPDX-License-Identifier: Apache-2.0
"""./run itself: instance.env, several instances, stop, restart, settings of one's own, mistakes."""

import os
import pathlib
import signal
import subprocess
import tempfile

from kit import mails
from kit.instance import TOP, free_port_base, is_running
from kit.waiting import PATIENCE_S

FORMS = ("roles", "all-in-one")
OWN_INSTANCE = True

KEYS = ("PID HOST IMAP_PORT IMAPS_PORT POP3_PORT POP3S_PORT LMTP_PORT SUBMISSION_PORT SIEVE_PORT "
        "HTTP_PORT METRICS_PORT USERS USER_FMT PASSWORD CONFIG CA_FILE").split()


def shell_values(instance):
    """What a shell sees after sourcing instance.env."""
    script = f'. {instance.dir}/instance.env && for k in {" ".join(KEYS)}; do echo "$k=${{!k}}"; done'
    out = subprocess.check_output(["bash", "-euc", script], text=True)
    return dict(line.split("=", 1) for line in out.splitlines())


def test_instance_env(make):
    instance = make(users=5)
    values = shell_values(instance)
    assert values["USER_FMT"] == "u%d@example.test" and values["USERS"] == "5", values
    assert int(values["IMAPS_PORT"]) == instance.port_base + 1
    assert values["POP3_PORT"] == "" and values["HTTP_PORT"] == "", values
    assert len(values["PASSWORD"]) >= 8
    assert pathlib.Path(values["CONFIG"]).is_file() and pathlib.Path(values["CA_FILE"]).is_file()
    os.kill(int(values["PID"]), 0)


def test_first_mail_waits(make):
    instance = make(users=2)
    with instance.imap(instance.user(1)) as c:
        assert c.select().exists == 1
        assert c.fetch("1", "ENVELOPE")[1]["ENVELOPE"][1] == b"Welcome to Pombal"


def test_two_side_by_side(make):
    one, two = make(users=2), make(users=2)
    one.deliver(mails.small("only here"), one.user(2))
    with one.imap(one.user(2)) as a, two.imap(two.user(2)) as b:
        assert a.select().exists == 1 and b.select().exists == 0
    one.stop()
    with two.imap(two.user(2)) as b:
        b.select()


def test_stop_and_start_keep_everything(make):
    instance = make(users=2)
    user, password = instance.user(2), instance.password
    sent = [mails.small(f"n {i}") for i in range(10)]
    for mail in sent:
        instance.deliver(mail, user)
    with instance.imap(user) as c:
        c.select()
        c.do("STORE 3 +FLAGS (\\Seen kept)")
        c.do("STORE 4 +FLAGS (\\Deleted)")
        c.do("EXPUNGE")
        before = c.fetch("1:*", "(UID FLAGS BODY.PEEK[])")
    for _ in range(2):
        instance.stop()
        assert not is_running(instance.pid)
        instance.start()
        assert instance.password == password
        with instance.imap(user) as c:
            c.select()
            after = c.fetch("1:*", "(UID FLAGS BODY.PEEK[])")
        strip = [{k: set(v) - {b"\\Recent"} if k == "FLAGS" else v for k, v in m.items()}
                 for got in (before, after) for m in got.values()]
        assert strip[: len(before)] == strip[len(before) :]


def test_stop_twice(make):
    instance = make(users=2)
    instance.stop()
    instance.stop()


def test_starting_twice_is_refused(make):
    instance = make(users=2)
    done = run(instance, "--port-base", str(free_port_base()))
    assert done.returncode != 0 and "already" in done.stderr, done
    instance.imap(instance.user(1)).logout()


def run(instance, *options):
    command = [TOP / "run", "--dir", instance.dir, "--build", instance.build, "--detach"]
    command += [*instance.storage_options(), *options]
    if instance.is_all_in_one:
        command.append("--all-in-one")
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_S)


def test_settings_of_ones_own(make):
    instance = make(users=2, config='login_greeting = "Good morning."\n')
    with instance.connect() as c:
        assert c.greeting[2].endswith(b"Good morning."), c.greeting


def test_mistake_in_a_setting_is_told_with_its_line(make):
    instance = make(users=2)
    instance.stop()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as extra:
        extra.write("mail_worker_count = 2\nauth_cache_sizee = 1M\n")
        extra.flush()
        os.chmod(extra.name, 0o644)
        done = run(instance, "--port-base", str(instance.port_base), "--config", extra.name)
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert f"{extra.name}:2" in text and "auth_cache_size" in text, text
    instance.start()


def test_port_that_is_taken(make):
    instance = make(users=2)
    other = make(users=2)
    other.stop()
    done = run(other, "--port-base", str(instance.port_base))
    assert done.returncode != 0, done.stdout
    assert str(instance.port_base) in done.stdout + done.stderr, done
    instance.imap(instance.user(1)).logout()


def test_foreground_tells_how_to_connect(make):
    """The lines that ./run prints work as they stand; Ctrl-C stops cleanly."""
    stopped = make(users=2)  # for its directory, build and form
    stopped.stop()
    command = [TOP / "run", "--dir", stopped.dir, "--build", stopped.build, *stopped.storage_options()]
    command += ["--port-base", str(stopped.port_base)] + ["--all-in-one"] * stopped.is_all_in_one
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        text = ""
        for line in process.stdout:
            text += line
            if "Ctrl-C" in line:
                break
        (curl,) = [line.strip() for line in text.splitlines() if line.strip().startswith("curl")]
        mail = subprocess.check_output(["bash", "-c", f"{curl} -sS --max-time {PATIENCE_S}"], text=True)
        assert "Subject: Welcome to Pombal" in mail, mail
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 0
    finally:
        if process.poll() is None:  # killed, it would leave its master behind
            stopped.stop()
        process.stdout.close()
        process.wait(timeout=PATIENCE_S)


def test_unknown_argument(_):
    done = subprocess.run([TOP / "run", "--nonsense"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2 and "usage" in done.stderr, done
