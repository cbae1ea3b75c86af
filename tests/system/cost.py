"""What the hottest exits cost, in instructions.

One hart and `-icount shift=0`: an instruction is a nanosecond of virtual time,
so the figures depend on nothing but the code, and a limit on them is no limit on
time. The limits are what was accepted; one that is passed is either a mistake or
a decision, and then it is changed here, on purpose.
"""

from harness import TOP, Case

LIMITS = {
    "sbi_base": 39,
    "set_timer": 35,
    "self_ipi": 40,
    "plic_load": 118,
    "plic_store": 126,
    "uart_load": 119,
}


def tests(full):
    return [Case("exits_cost_no_more_than_accepted", cost),
            Case("without_the_quick_path_neither", slow, timeout=240)]


def figures(t, append):
    m = t.boot(lab=TOP / "guests" / "labs" / "cost.dts", smp=1, append=append,
               options=["-icount", "shift=0,sleep=off"])
    found = {}
    for name in LIMITS:
        match = m.expect(rf"cost: {name} (\d+)\.(\d\d) ns\n")
        found[name] = int(match[1]) + int(match[2]) / 100
    t.equal(m.wait(), 0, "QEMU's status")
    return found


def cost(t):
    found = figures(t, "")
    for name, limit in LIMITS.items():
        t.check(found[name] <= limit + 0.5,
                f"{name} takes {found[name]} instructions; {limit} are accepted")


def slow(t):
    found = figures(t, "quick=off")
    for name in LIMITS:
        t.check(LIMITS[name] < found[name] < 450,
                f"{name} takes {found[name]} instructions")
