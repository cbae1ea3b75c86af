"""A line that is hundreds of vCPUs' is told to all of them, whoever of them has
no CPU just then."""

import matrix
from harness import Case
from labs import guest, lab, said

# By emul/plic_core.c the first 64 and 16 more are told at once; of the others
# the first, and some behind it.
KEPT = 80
VCPUS = 120


def who_has_no_cpu_keeps_nobody(t):
    """One of the crowd is pinned beside a guest of a higher priority."""
    pin = [1 if vcpu == KEPT else 0 for vcpu in range(VCPUS)]
    m = t.boot(lab=lab(guest("crowd", "crowd", vcpus=VCPUS, priority=10,
                             pin=pin, bootargs=f"but={KEPT}"),
                       guest("hog", "spin", pin=1, priority=200,
                             autostart=False),
                       scheduler=t.args["policy"], boot=["watch off",
                                                         "watch crowd"]),
               smp=2, mem="256M")
    m.expect(said("crowd", f"crowd: {VCPUS - 1} are asleep"), 60)
    m.line("guest start hog")
    m.expect(r"hog: starts at ")
    m.line("console crowd")
    m.expect(r"\[rouse: console of crowd")
    m.send("x")
    m.expect(rf"crowd: all have heard of it but {KEPT}\n", 60)
    m.send("\x1d")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def tests(full):
    return [Case(f"who_has_no_cpu_keeps_nobody_from_being_told,{policy}",
                 who_has_no_cpu_keeps_nobody, policy=policy)
            for policy in (matrix.sharing() if full
                           else matrix.looking_at("priority"))]
