from bench import key, value
from meter import by_policy, machine

TITLE = "The same operations under each policy"
QUESTION = ("The meter's table is of the default policy. How many instructions do "
            "those of its rows take in which a policy has a part, under each of "
            "them? A row for whose vCPUs a policy has no room is left out.")
COLUMNS = [
    key("policy", "policy"),
    key("machine", "machine"),
    key("row", "operation"),
    {**value("n", "", "rounds"), "compare": False},
    value("median", "instructions", "median", "less", percent=1),
    {**value("p99", "instructions", "99th percentile"), "compare": False},
]
# Two harts are two threads of the build host, as in questions/meter.py.
ALONE = True
COST_S = 6

ROUNDS = 50


def cases(b):
    return [{"policy": p} for p in b.policies(1, 1)]


def measure(b, policy):
    found = by_policy.measure(policy.name, b.seconds(ROUNDS, 20))
    where = machine.MACHINES[by_policy.MACHINE]
    return [[policy.name, where, name, f.n, f.median, f.p99]
            for name, f in found.items()]


def plots(done):
    titles = {row.name: row.title for row in machine.rows()}
    data = [{"operation": titles[row], "policy": policy, "median": median}
            for _, some, _ in done for policy, _, row, _, median, _ in some]
    return [{"kind": "bars", "title": "median [instructions]",
             "x": "operation", "y": "median", "by": "policy", "data": data}]
