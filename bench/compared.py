"""What is asked of the simulator and of the hypervisor, so that it is seen that
both say the same (tests/system/simulation.py); and of the other questions, why
not. The report has it as a table.
"""

from collections import namedtuple

# what: which cases; "" is none. but: why not the others.
Compared = namedtuple("Compared", "what but", defaults=("",))

LINUX = Compared("", "has Linux inside, of which the simulator has nothing")
COUNTED = Compared("", "counts the code itself; the simulator's costs come from "
                   "it")

QUESTIONS = {
    "fairness": Compared("all"),
    "thief": Compared("all"),
    "latency": Compared("all"),
    "priority": Compared("all"),
    "slices": Compared("all"),
    "switch": Compared("all"),
    "caps": Compared(
        "on one hart; on two, of policies that level them",
        "who of several shares a hart with whom is a matter of who was first "
        "under the others"),
    "conserve": Compared(
        "all but guests that are freed",
        "what is changed while guests run isn't simulated"),
    "wfi": Compared(
        "trapped and polled",
        "a native WFI, which the guest doesn't leave, is no wait in the "
        "simulator"),
    "scaling": Compared(
        "one hart", "of several, QEMU's counted ones take turns"),
    "handover": Compared("", "counts mails and asks, which nothing counts in the "
                         "simulator"),
    "sweep": Compared("", "is simulated only"),
    "cyclictest": LINUX,
    "hackbench": LINUX,
    "consolidation": LINUX,
    "meter_linux": LINUX,
    "meter": COUNTED,
    "meter_native": COUNTED,
    "meter_outliers": COUNTED,
    "meter_policies": COUNTED,
    "meter_scaling": COUNTED,
    "meter_trace": COUNTED,
    "meter_trace_ways": COUNTED,
    "wfi_ipi": COUNTED,
}
