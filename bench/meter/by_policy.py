"""Some rows of the table under a policy of one's choice, on one kind of machine:
those in which a policy has a part.

A row for whose vCPUs the policy has no room isn't there.
"""

from . import operations

MACHINE = "aclint"
# What goes to sleep and wakes, and what another one's turn is on the way of.
ROWS = ("timer_asleep", "ipi_asleep", "switch_integer", "ipi_queued")


def measure(policy, rounds, names=ROWS):
    """{row: Figures}"""
    opt = operations.options(rows=",".join(names), rounds=rounds,
                             append=f"sched={policy}",
                             prefix=f"policy-{policy}-")
    found, _ = operations.measure(opt, MACHINE)
    return {name: found[name] for name in names if name in found}
