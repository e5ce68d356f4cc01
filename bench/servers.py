# SPDX-License-Identifier: Apache-2.0
"""S3 and Cassandra for the benches: those that the environment names, else ones started for it."""

import contextlib
import os
import sys
import tempfile

from kit.clouds import Clouds

SERVERS = ("POMBAL_TEST_S3", "POMBAL_TEST_CQL")


@contextlib.contextmanager
def servers():
    """The Clouds, with the environment set; ends the program with 77 where they cannot be had."""
    with tempfile.TemporaryDirectory(prefix="pombal-clouds-") as folder:
        os.chmod(folder, 0o755)
        clouds = Clouds(folder)
        try:
            if not all(os.environ.get(name) for name in SERVERS):
                clouds.start(SERVERS)
                os.environ.update(clouds.env)
            if clouds.missing:
                print("\n".join(f"{name}: {why}" for name, why in clouds.missing.items()))
                sys.exit(77)
            yield clouds
        finally:
            clouds.stop()
