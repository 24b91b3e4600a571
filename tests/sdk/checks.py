"""Runs every function named check_* of a module, tells each result, and fails if one failed."""

import os
import sys
import traceback

URL = os.environ["SLUICE_URL"]
KEY = os.environ["SLUICE_KEY"]


def run(checks):
    failed = 0
    for name, check in list(checks.items()):
        if not name.startswith("check_"):
            continue
        try:
            check()
            print(f"ok   {name}")
        except Exception:  # noqa: BLE001 - any failure of a check is told, and the next one runs
            failed += 1
            print(f"FAIL {name}")
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)


def raises(kind, call):
    """The error of a call that must fail with exactly this class or one derived from it."""
    try:
        result = call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} but {result!r}")
