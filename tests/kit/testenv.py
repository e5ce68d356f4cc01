# SPDX-License-Identifier: Apache-2.0
"""Outside tools and data of the tests: exact versions (tests/versions), fetched once per user."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

FETCH_TIMEOUT_S = 1500
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
    return _fetched("npm", name, _npm_install)


def npm_data(name):
    """Directory with the unpacked files of a package from npm, without what it needs."""
    return _fetched("npm", name, _npm_unpack)


def maven_jars(name):
    """Directory with the jar of GROUP:ARTIFACT and the jars that it needs to run."""
    return _fetched("mvn", name, _maven_copy)


def go_program(name):
    """The program that `go install` makes of a module at the pinned version."""
    return _fetched("go", name, _go_install) / name.rpartition("/")[2]


def _fetched(tool, name, fetch):
    """What `fetch(name, version, folder)` puts into a folder, once per user and version."""
    version = version_of(name)
    folder = cache_dir() / f"{re.sub('[/:]', '-', name).lstrip('@')}-{version}"
    if (folder / ".complete").exists():
        return folder
    need_program(tool)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        fetch(name, version, temporary)
    except subprocess.CalledProcessError as e:
        shutil.rmtree(temporary, ignore_errors=True)
        said = f"{e.stdout}{e.stderr}".splitlines()
        errors = [line for line in said if "error" in line.lower()] or said
        raise Skip(f"{tool} cannot fetch {name} {version}: {' '.join(errors[:3])}") from e
    except subprocess.TimeoutExpired as e:
        shutil.rmtree(temporary, ignore_errors=True)
        raise Skip(f"{tool} did not fetch {name} {version} within {e.timeout:.0f} s") from e
    (temporary / ".complete").touch()
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return folder


def _npm_install(name, version, folder):
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder]
    _run(folder, "npm", "install", *options, f"{name}@{version}")


def _npm_unpack(name, version, folder):
    _run(folder, "npm", "pack", f"{name}@{version}")
    (archive,) = folder.glob("*.tgz")
    _run(folder, "tar", "xzf", archive)
    archive.unlink()


POM = """<project>
<modelVersion>4.0.0</modelVersion>
<groupId>test</groupId><artifactId>test</artifactId><version>1</version>
<dependencies><dependency>
<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>
</dependency></dependencies>
</project>
"""


def _maven_copy(name, version, folder):
    group, _, artifact = name.partition(":")
    plugin = "org.apache.maven.plugins:maven-dependency-plugin"
    (folder / "pom.xml").write_text(POM.format(group=group, artifact=artifact, version=version))
    goal = f"{plugin}:{version_of(plugin)}:copy-dependencies"
    _run(folder, "mvn", "-q", "-B", goal, "-DincludeScope=runtime", f"-DoutputDirectory={folder}")


def _go_install(name, version, folder):
    _run(folder, "go", "install", "-p", "2", f"{name}@{version}", env={**os.environ, "GOBIN": str(folder)})


def _run(folder, *command, env=None):
    subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=True
    )
