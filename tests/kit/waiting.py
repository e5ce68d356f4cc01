# SPDX-License-Identifier: Apache-2.0
"""Waiting for what other processes do. What may still change is waited for, not compared at once, and no
wait is shorter than PATIENCE_S: a short one fails when the machine is busy, a long one costs nothing."""

import time

PATIENCE_S = 60


def wait_until(check, what="what was waited for", seconds=PATIENCE_S):
    """What `check` gives, as soon as that is true. `what`: for the failure, or a function that tells it."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {seconds} s: {text}")
        time.sleep(0.02)
    return found


def wait_for_success(act, what="what was tried", seconds=PATIENCE_S, errors=(Exception,)):
    """What `act` gives when it no longer raises one of `errors`; the last of them is the failure's cause."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except errors as e:
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}: {e}") from e
        time.sleep(0.05)
