#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that the recorder loses what was not synced, keeps what was, and sees through SQLite.

    powerloss_test.py POWERLOSS.SO
"""
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARY = None

# Runs in the child; ends as a machine does whose plug is pulled.
PRELUDE = """
import os, signal, sqlite3, sys
os.chdir(sys.argv[1])
def write(name, data, sync=False, flags=os.O_CREAT | os.O_WRONLY):
    fd = os.open(name, flags, 0o600)
    os.write(fd, data)
    if sync: os.fsync(fd)
    os.close(fd)
def sync_dir(name="."):
    fd = os.open(name, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""


class PowerLoss(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.root = os.path.join(self.temporary.name, "root")
        self.state = os.path.join(self.temporary.name, "state")
        os.mkdir(self.root)
        self.tool("prepare")

    def tearDown(self):
        self.temporary.cleanup()

    def tool(self, *words):
        command = [sys.executable, os.path.join(HERE, "powerloss.py"), words[0], self.root, self.state]
        subprocess.run(command + list(words[1:]), check=True, stdout=subprocess.DEVNULL)

    def child(self, code, **environment):
        env = dict(os.environ, LD_PRELOAD=LIBRARY, POWERLOSS_DIR=self.root,
                   POWERLOSS_STATE=self.state, **environment)
        done = subprocess.run([sys.executable, "-c", PRELUDE + code + "\ndie()\n", self.root], env=env)
        self.assertEqual(done.returncode, -signal.SIGKILL)

    def lose(self, code, *seed, **environment):
        self.child(code, **environment)
        self.tool("restore", *seed)

    def content(self, name):
        try:
            with open(os.path.join(self.root, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def test_synced_bytes_under_a_synced_name_stay(self):
        self.lose("write('a', b'hello', sync=True); sync_dir()")
        self.assertEqual(self.content("a"), b"hello")

    def test_bytes_that_were_not_synced_go(self):
        self.lose("write('a', b'hello'); sync_dir()")
        self.assertEqual(self.content("a"), b"")

    def test_a_name_that_was_not_synced_goes(self):
        self.lose("write('a', b'hello', sync=True)")
        self.assertIsNone(self.content("a"))

    def test_killing_alone_loses_nothing(self):
        self.child("write('a', b'hello')")
        self.assertEqual(self.content("a"), b"hello")

    def test_overwritten_and_cut_bytes_come_back(self):
        self.lose("write('a', b'0123456789', sync=True); sync_dir()\n"
                  "fd = os.open('a', os.O_RDWR); os.pwrite(fd, b'xy', 3); os.pwrite(fd, b'more', 10)\n"
                  "os.ftruncate(fd, 5); os.pwrite(fd, b'Z', 0)")
        self.assertEqual(self.content("a"), b"0123456789")

    def test_appended_and_truncated_at_open(self):
        self.lose("write('a', b'one', sync=True); write('b', b'two', sync=True); sync_dir()\n"
                  "write('a', b'+', flags=os.O_WRONLY | os.O_APPEND)\n"
                  "write('b', b'', flags=os.O_WRONLY | os.O_TRUNC)")
        self.assertEqual(self.content("a"), b"one")
        self.assertEqual(self.content("b"), b"two")

    def test_a_sync_covers_only_what_came_before(self):
        self.lose("write('a', b'safe', sync=True); sync_dir()\n"
                  "write('a', b' lost', flags=os.O_WRONLY | os.O_APPEND)")
        self.assertEqual(self.content("a"), b"safe")

    def test_removed_and_replaced_files_come_back(self):
        self.lose("write('a', b'a', sync=True); write('b', b'b', sync=True)\n"
                  "write('new', b'n', sync=True); sync_dir()\n"
                  "os.unlink('a'); os.rename('new', 'b')")
        self.assertEqual(self.content("a"), b"a")
        self.assertEqual(self.content("b"), b"b")
        self.assertEqual(self.content("new"), b"n")

    def test_a_synced_removal_stays(self):
        self.lose("write('a', b'a', sync=True); sync_dir(); os.unlink('a'); sync_dir()")
        self.assertIsNone(self.content("a"))

    def test_unnamed_files(self):
        link = ("fd = os.open('.', os.O_TMPFILE | os.O_WRONLY, 0o600); os.write(fd, b'mail')\n"
                "{}\nos.link('/proc/self/fd/%d' % fd, 'm', src_dir_fd=os.open('.', os.O_RDONLY))\n{}")
        self.lose(link.format("os.fsync(fd)", "sync_dir()"))
        self.assertEqual(self.content("m"), b"mail")
        os.unlink(os.path.join(self.root, "m"))
        self.lose(link.format("", "sync_dir()"))
        self.assertEqual(self.content("m"), b"")
        os.unlink(os.path.join(self.root, "m"))
        self.lose(link.format("os.fsync(fd)", ""))
        self.assertIsNone(self.content("m"))

    def test_directories(self):
        self.lose("os.mkdir('d'); write('d/a', b'a', sync=True); sync_dir('d')")
        self.assertFalse(os.path.exists(os.path.join(self.root, "d")))
        self.lose("os.mkdir('d'); write('d/a', b'a', sync=True); sync_dir('d'); sync_dir()\n"
                  "os.unlink('d/a'); os.rmdir('d')")
        self.assertEqual(self.content("d/a"), b"a")

    def test_the_control_loses_synced_bytes(self):
        self.lose("write('a', b'hello', sync=True); sync_dir()", POWERLOSS_IGNORE_SYNC="1")
        self.assertIsNone(self.content("a"))

    def test_a_random_part_is_undone(self):
        code = ("write('a', b'', sync=True); sync_dir()\n"
                "for i in range(20): write('a', b'x', flags=os.O_WRONLY | os.O_APPEND)")
        sizes = set()
        for seed in range(8):
            self.lose(code, str(seed))
            sizes.add(len(self.content("a")))
            os.unlink(os.path.join(self.root, "a"))
        self.assertGreater(len(sizes), 2)

    def rows(self):
        path = os.path.join(self.root, "db")
        if not os.path.exists(path):
            return None
        database = sqlite3.connect(path)
        try:
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchone()[0], "ok")
            return database.execute("SELECT count(*) FROM t").fetchone()[0]
        except sqlite3.OperationalError:
            return None  # not even the table
        finally:
            database.close()

    SQLITE = """
db = sqlite3.connect('db', isolation_level=None)
db.execute('PRAGMA journal_mode = WAL'); db.execute('PRAGMA synchronous = {}')
db.execute('CREATE TABLE t (x)'); sync_dir()
for i in range(50): db.execute('INSERT INTO t VALUES (?)', ('x' * 300,))
"""

    def test_sqlite_with_syncs_keeps_every_commit(self):
        self.lose(self.SQLITE.format("FULL"))
        self.assertEqual(self.rows(), 50)

    def test_sqlite_keeps_every_commit_whatever_part_is_undone(self):
        for seed in range(5):
            self.lose(self.SQLITE.format("FULL"), str(seed))
            self.assertEqual(self.rows(), 50)
            for name in os.listdir(self.root):
                os.unlink(os.path.join(self.root, name))

    def test_sqlite_without_syncs_loses_commits(self):
        self.lose(self.SQLITE.format("OFF"))
        self.assertNotEqual(self.rows(), 50)

    def test_sqlite_loses_commits_in_the_control(self):
        self.lose(self.SQLITE.format("FULL"), POWERLOSS_IGNORE_SYNC="1")
        self.assertNotEqual(self.rows(), 50)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    LIBRARY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
