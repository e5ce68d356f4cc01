# SPDX-License-Identifier: Apache-2.0
"""What doveadm prints (Instance.doveadm() runs it)."""

import atexit
import pathlib
import shutil
import tempfile

from kit.waiting import wait_until


def listable(users):
    """Settings with which -A finds these users: a file that auth's own user can read."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pombal-test-users-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    path = folder / "users"
    path.write_text("".join(f"{user}:::::::\n" for user in users))
    return f"userdb listed {{\n  driver = passwd-file\n  passwd_file_path = {path}\n}}\n"


def table(done):
    """Rows as dictionaries by the names of the first line."""
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def differences(instance, *users):
    """Where what the server holds is not what a fresh fold of journal and base gives, to the byte, or a mail has no
    row; of all mailboxes of these users."""
    problems = []

    def verified(user):
        """Flags that change at this moment are no difference."""
        done = instance.doveadm("mailbox", "rebuild", "--verify", "-u", user)
        return None if "\tconflict\t" in done.stdout else done

    for user in users:
        done = wait_until(lambda: verified(user), f"flags of {user} rest")
        rows = table(done)
        if done.returncode != 0 or not rows or any(row["result"] != "same" for row in rows):
            problems.append(f"{user}: {[row for row in rows if row['result'] != 'same']} {done.stderr.strip()}")
    return problems
