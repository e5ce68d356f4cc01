# SPDX-License-Identifier: Apache-2.0
"""What a round that fails leaves behind for whoever has to find out why: `--keep DIR` of kill_test.py.

    dialogues/USER.log   every command and response of that user's readers and of the check, his
                         deliveries, and when the victim died
    storm-N              faults of round N, and when
    cql-N                every frame between the program and Cassandra (kit/faultproxy.py), of the last rounds
    log, state           of the instance, and of the other host if there was one, as it was at the end"""

import shutil
import time

ROUNDS_KEPT = 3


class Keep:
    """`folder` is None: nothing is kept."""

    def __init__(self, folder):
        self.folder = folder
        self.files = {}
        if folder:
            (folder / "dialogues").mkdir(parents=True)

    def noter(self, user):
        """What takes a line for the user's dialogue; None if nothing is kept."""
        if not self.folder:
            return None
        file = self.files.setdefault(user, open(self.folder / "dialogues" / f"{user}.log", "a"))

        def note(what):
            now = time.time()
            clock = time.strftime("%H:%M:%S", time.localtime(now)) + f"{now % 1:.3f}"[1:]
            file.write(f"{clock} {what if isinstance(what, str) else line_of(what)}\n")
            file.flush()

        return note

    def begin_round(self, number, cql=None):
        """`cql`: the proxy before Cassandra."""
        if self.folder and cql:
            cql.record(self.folder / f"cql-{number}")
            (self.folder / f"cql-{number - ROUNDS_KEPT}").unlink(missing_ok=True)
        self.note_all(f"==== round {number}")

    def note_all(self, text):
        for user in self.files:
            self.noter(user)(text)

    def end_round(self, number, storm):
        if self.folder:
            (self.folder / f"storm-{number}").write_text("\n".join(storm.log) + "\n")

    def failed(self, instance):
        for i, folder in enumerate([instance.dir, instance.other_dir]):
            for name in ("log", "state") if self.folder and folder else ():
                ignore = shutil.ignore_patterns("cache", "*.sock", "run")
                target = self.folder / (f"{name}-other" if i else name)
                shutil.copytree(folder / name, target, ignore=ignore, ignore_dangling_symlinks=True)


def line_of(what):
    """Of what kit.imap.Imap notes: bytes that were sent, or a response."""
    if isinstance(what, bytes):
        return "> " + text_of(what)
    return "< " + "".join(text_of(piece if isinstance(piece, bytes) else piece.data) for piece in what)


def text_of(data):
    return repr(data.decode("latin-1").rstrip("\r\n"))[1:-1]
