#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the test functions of one file against one instance; the runner starts this as a process.

A test file holds functions test_*(instance): plain code and assert. It may set
    USERS = 200           how many users its instance has
    CONFIG = "..."        settings added to its instance
    TIMEOUT_S = 300       for each function, or a dict by function name with None for the rest
    FORMS = ("roles", "all-in-one")   in which forms the runner runs it; on one line
    STORAGES = ("local",)   the only storages (kit/storage.py) it is about; on one line
    OWN_INSTANCE = True   functions get a function that makes instances instead of one
Results go to standard output, one JSON object per line. A log with findings of a sanitizer, failed
assertions, or an unclean stop is a failed test of its own ("clean-end")."""

import argparse
import functools
import importlib.util
import pathlib
import signal
import sys
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from kit.instance import Instance  # noqa: E402
from kit.report import tell  # noqa: E402
from kit.storage import PAIRS, Storage  # noqa: E402
from kit.testenv import Skip  # noqa: E402

DEFAULT_TIMEOUT_S = 180


class TestTimeout(BaseException):
    """Not an Exception, so that no test catches it by accident."""


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def functions_of(module, only):
    """Test functions in the order in which they stand in the file."""
    found = [f for name, f in vars(module).items() if name.startswith("test_") and callable(f)]
    return [f for f in found if not only or any(word in f.__name__ for word in only)]


def timeout_of(module, function):
    limit = getattr(module, "TIMEOUT_S", DEFAULT_TIMEOUT_S)
    if isinstance(limit, dict):
        limit = limit.get(function.__name__, limit.get(None, DEFAULT_TIMEOUT_S))
    return limit


def run_one(module, function, argument):
    name = function.__name__.removeprefix("test_").replace("_", "-")
    limit = timeout_of(module, function)

    def too_late(*_):
        raise TestTimeout(f"not done within {limit} s")

    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(limit)
    began = time.monotonic()
    try:
        function(argument)
        status, reason = "ok", ""
    except Skip as e:
        status, reason = "skip", str(e)
    except (Exception, TestTimeout) as e:
        status, reason = "fail", f"{type(e).__name__}: {e}\n{traceback.format_exc(limit=-4)}"
    finally:
        signal.alarm(0)
    tell(name, status, time.monotonic() - began, reason)


def end_cleanly(instance):
    """Stops the instance; what its logs complain about is a failure."""
    began = time.monotonic()
    problems = []
    try:
        instance.stop()
    except Exception as e:
        problems.append(str(e))
    problems += instance.problems()
    instance.destroy()
    status = "fail" if problems else "ok"
    tell("clean-end", status, time.monotonic() - began, "\n".join(problems[:60]))


def run_with_shared_instance(module, functions, args):
    if args.attach:
        instance = Instance.attach(args.attach)
    else:
        try:
            instance = Instance.create(
                build=args.build,
                is_all_in_one=args.all_in_one,
                users=getattr(module, "USERS", 200),
                config=getattr(module, "CONFIG", ""),
                storage=Storage(args.storage),
            )
        except Skip as e:
            tell("start", "skip", 0, str(e))
            return
        except Exception as e:
            tell("start", "fail", 0, str(e))
            return
    try:
        for function in functions:
            run_one(module, function, instance)
    finally:
        if not args.attach:
            end_cleanly(instance)


def run_with_own_instances(module, functions, args):
    for function in functions:
        made = []

        def make(**options):
            options.setdefault("storage", Storage(args.storage))
            instance = Instance.create(build=args.build, is_all_in_one=args.all_in_one, **options)
            made.append(instance)
            return instance

        try:
            run_one(module, functools.update_wrapper(functools.partial(function), function), make)
        finally:
            for instance in made:
                instance.destroy()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path, default=TESTS.parent / "build")
    parser.add_argument("--all-in-one", action="store_true")
    parser.add_argument("--storage", choices=list(PAIRS), default="local")
    parser.add_argument("--attach", help="directory of a running instance to test instead")
    parser.add_argument("--only", nargs="*", default=[], help="words in the functions' names")
    args = parser.parse_args()
    # The runner ends this process with SIGTERM: unwind, so that instances are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        module = load(args.file)
    except Exception as e:
        tell("load", "fail", 0, f"{type(e).__name__}: {e}")
        return
    functions = functions_of(module, args.only)
    if getattr(module, "OWN_INSTANCE", False):
        run_with_own_instances(module, functions, args)
    else:
        run_with_shared_instance(module, functions, args)


if __name__ == "__main__":
    main()
