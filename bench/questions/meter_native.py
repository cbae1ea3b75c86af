from meter import operations, table

TITLE = "The same without a hypervisor"
QUESTION = ("What do the operations of the meter take if its payload runs on "
            "the firmware alone? Nothing can be queued or switched there, nobody "
            "translates addresses, and a remote fence is left out, since who "
            "asks for it waits in a loop of the firmware's. The firmware sends "
            "IPIs in its own way on each machine.")
COLUMNS = table.columns(table.stage_names())

# As in the meter.
ALONE = True
COST_S = 6


def cases(b):
    return [{"machine": key} for key in b.some(*operations.MACHINES)]


def measure(b, machine):
    opt = operations.options(native=True, rounds=20 if b.quick else 100)
    opt.rows = ",".join(name for name in operations.known_rows(opt)
                        if name != "rfence_running")
    return table.lines_of(machine, operations.measure(opt, machine)[0])


def rows(done):
    return table.in_order([row for _, some, _ in done for row in some])


def plots(done):
    return [{"kind": "cells", "title": "instructions, median", "x": "title",
             "y": "median", "by": "machine"}]
