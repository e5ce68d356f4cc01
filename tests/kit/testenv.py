# SPDX-License-Identifier: Apache-2.0
"""Outside tools and data of the tests: exact versions (tests/versions), fetched once per user."""

import os
import pathlib
import shutil
import subprocess
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


class Skip(Exception):
    """The test cannot run here; the text says why."""


def cache_dir():
    chosen = os.environ.get("POMBAL_TESTENV")
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(chosen) if chosen else pathlib.Path(base) / "pombal-testenv"


def version_of(name):
    for line in (TOP / "tests" / "versions").read_text().splitlines():
        words = line.split("#")[0].split()
        if words and words[0] == name:
            return words[1]
    raise KeyError(f"tests/versions does not name {name}")


def need_program(name):
    path = shutil.which(name)
    if not path:
        raise Skip(f"{name} is not installed")
    return path


def npm_package(name):
    """Directory in which the pinned version of a package from npm is installed with what it
    needs; Skip when npm or its registry is not there."""
    return _fetched(name, _npm_install)


def npm_data(name):
    """Directory with the unpacked files of a package from npm, without what it needs."""
    return _fetched(name, _npm_unpack)


def _fetched(name, fetch):
    need_program("npm")
    version = version_of(name)
    folder = cache_dir() / f"{name.replace('/', '-').lstrip('@')}-{version}"
    if (folder / ".complete").exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        fetch(f"{name}@{version}", temporary)
    except subprocess.CalledProcessError as e:
        shutil.rmtree(temporary, ignore_errors=True)
        errors = [line for line in e.stderr.splitlines() if "error" in line]
        raise Skip(f"npm cannot fetch {name}@{version}: {' '.join(errors[:3])}") from e
    (temporary / ".complete").touch()
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return folder


def _npm_install(what, folder):
    _npm(folder, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, what)


def _npm_unpack(what, folder):
    _npm(folder, "pack", what)
    (archive,) = folder.glob("*.tgz")
    subprocess.run(["tar", "xzf", archive], cwd=folder, capture_output=True, text=True, check=True)
    archive.unlink()


def _npm(folder, *arguments):
    subprocess.run(
        ["npm", *arguments], cwd=folder, capture_output=True, text=True, timeout=600, check=True
    )
