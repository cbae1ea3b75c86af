"""What a record costs: one operation with its class on, and with another's.

While anything is recorded all exits take the long way, so the difference of the
two is the record alone: what the hook does more when its class is on. The hook
itself is in both: HOOK instructions at most, which is what it costs off
(tests/check/trace_hooks holds the compiled program to that).
"""

from .guard import alone

HOOK = 3

# Name in the table, row, class that writes nothing in it, class that does, and
# how many records it writes.
PAIRS = (
    ("exit", "sbi_base", "memory", "exit", 2),
    ("call", "sbi_base", "memory", "call", 1),
    ("device", "plic_load", "memory", "device", 1),
)


def _median(row, word):
    name = f"trace-{word}"
    found = alone(append=f'cmd="trace on {word}"', only=(row,), name=name)
    return found[row].median


def measure():
    """[(class, records, instructions of a record, of a hook that is off)]"""
    out, off = [], {}
    for name, row, without, word, records in PAIRS:
        if row not in off:
            off[row] = _median(row, without)
        more = _median(row, word) - off[row]
        out.append((name, records, HOOK + more / records, HOOK))
    return out
