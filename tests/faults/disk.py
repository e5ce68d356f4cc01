# SPDX-License-Identifier: Apache-2.0
"""A small disk below one directory of an instance: a tmpfs, which only root can mount."""

import os
import subprocess

from kit.testenv import Skip

FILLER = "filler"


class SmallDisk:
    """`name`: directory of the instance, such as "state". Give mount() to Instance.create(prepare=)."""

    def __init__(self, name, size):
        self.name = name
        self.size = size
        self.path = None

    def mount(self, instance):
        if os.geteuid() != 0:
            raise Skip("only root can mount a small disk")
        self.path = instance.dir / self.name
        self.path.mkdir()
        done = self._run("mount", "-t", "tmpfs", "-o", f"size={self.size},mode=0700", "tmpfs", self.path)
        if done.returncode != 0:
            raise Skip(f"cannot mount here: {done.stderr.strip()}")
        instance.on_destroy.append(self.unmount)

    def resize(self, size):
        self._remount(f"size={size}")

    def fill(self):
        """No room is left, until empty()."""
        with open(self.path / FILLER, "wb", buffering=0) as filler:
            try:
                while filler.write(bytes(65536)):
                    pass
            except OSError:
                pass

    def empty(self):
        (self.path / FILLER).unlink()

    def set_read_only(self, is_read_only):
        self._remount("ro" if is_read_only else "rw")

    def _remount(self, options):
        done = self._run("mount", "-o", f"remount,{options}", self.path)
        assert done.returncode == 0, done.stderr

    def unmount(self):
        self._run("umount", "-l", self.path)

    def _run(self, *command):
        return subprocess.run(command, capture_output=True, text=True, timeout=20)
