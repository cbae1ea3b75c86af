"""TAP of a check in Python: a line for each of its tests, which are functions
that return whether what their name says is so."""


def sentences(names, helpers):
    """The functions that a check itself has (names: its globals()), in order,
    but for those that help the others."""
    return [f for name, f in names.items() if name not in helpers
            and callable(f) and getattr(f, "__module__", "") == "__main__"]


def run(tests):
    """Prints the lines; returns the check's status."""
    failed = 0
    for number, test in enumerate(tests, 1):
        try:
            good, why = test(), ""
        except Exception as wrong:  # noqa: BLE001: any is a failure
            good, why = False, f" # {type(wrong).__name__}: {wrong}"
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {test.__name__}{why}")
    return 1 if failed else 0
