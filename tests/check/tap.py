"""TAP of a check in Python: a line for each of its tests, which are functions
whose names say what is so. They return whether it is, or raise if it isn't
(claims)."""

import sys


class Skipped(Exception):
    """What a test needs isn't there."""


def sentences(names, helpers):
    """The functions that a check itself has (names: its globals()), in order,
    but for those that help the others."""
    return [f for name, f in names.items() if name not in helpers
            and callable(f) and getattr(f, "__module__", "") == "__main__"]


def claims(*args):
    """For `run`: tests that take these and return nothing."""
    def call(test):
        test(*args)
        return True
    return call


def run(tests, call=lambda test: test(), prefix=""):
    """Prints the lines; returns the check's status."""
    failed = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        end = why = ""
        try:
            good = call(test)
        except Skipped as reason:
            good, end = True, f" # SKIP {reason}"
        except AssertionError as wrong:
            good, why = False, str(wrong)
        except Exception as wrong:  # noqa: BLE001: any is a failure
            good, why = False, f"{type(wrong).__name__}: {wrong}"
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {prefix}"
              f"{test.__name__}{end}")
        for line in why.splitlines():
            print(f"# {line}")
        sys.stdout.flush()
    return 1 if failed else 0
