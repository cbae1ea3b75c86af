"""What operations take while a class of the trace is on, whatever it records of
them: while a hook is to be passed by, no way that leaves it out is taken."""

from . import operations
from .machine import MACHINES
from .table import UNIT, column, key

ROWS = ("sbi_base", "set_timer", "plic_load", "ipi_self", "switch_integer",
        "other_integer", "ipi_asleep", "plic_asleep")
# {what is on: classes}. Each group keeps CPUs and vCPUs from the same short ways:
# RESUME_PASSES, YIELD_PASSES (kernel/sched), QUICK_PASSES (arch/riscv/quick.h).
CLASSES = {"off": "", "life": "life", "policy": "policy", "sched": "sched",
           "exit": "exit", "all": " "}
TITLE = "Operations that are recorded"
QUESTION = ("What do operations take while a class of the trace is on? Short ways "
            "that pass by its hooks are not taken then. `all` has the records "
            "of all classes in it.")
COLUMNS = [key("row"), key("title", "", "operation")] + \
    [column(f"on_{name}" if words else name, UNIT, f"median, {name}",
            better="less", noise=4, noise_percent=4)
     for name, words in CLASSES.items()]
MACHINE = "virt"


def medians(classes, rounds):
    """{row: median}"""
    # A blank is a word as well: all of them.
    first = f"trace on {classes}".strip() if classes else ""
    found, _ = operations.measure(operations.options(
        rows=",".join(ROWS), rounds=rounds, first=first,
        prefix="traced-"), MACHINE)
    return {name: figures.median for name, figures in found.items()}


def measure(rounds):
    """Rows of COLUMNS."""
    found = [medians(classes, rounds) for classes in CLASSES.values()]
    titles = operations.titles()
    return [[name, titles[name]] + [some[name] for some in found]
            for name in ROWS if all(name in some for some in found)]


def show(lines, out=print):
    out(f"medians on {MACHINES[MACHINE]}, by the class of the trace that is on")
    out("  {:15}".format("row") + "".join(f"{n:>8}" for n in CLASSES))
    for name, _, *some in lines:
        out(f"  {name:15}" + "".join(f"{n:8}" for n in some))
