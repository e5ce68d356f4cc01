# SPDX-License-Identifier: Apache-2.0
"""What doveadm prints (Instance.doveadm() runs it)."""


def table(done):
    """Rows as dictionaries by the names of the first line."""
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return [dict(zip(lines[0], line)) for line in lines[1:]]
