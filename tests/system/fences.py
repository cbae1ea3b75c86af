"""Guests whose harts fence all of each other's all the time, while everything
is done to them: paused, moved, made anew, under another policy. Who waits for a
fence does so in its turn (arch/riscv/vfence.c), and whatever comes for its CPU
meanwhile must be seen there; who is waited for may be gone before it answers.
After each storm of commands every hart must get its fences done again.
"""

import random

import matrix
from harness import Case
from labs import Shell, guest, lab

# More harts than CPUs, so some are always on their way; and one a CPU.
GUESTS = {"many": 6, "few": 2}
POLICIES = matrix.sharing()
# Exits that each hart must make to be believed to go on (who waits for a fence
# makes none); and in how many looks, before a hart is given up.
EXITS, LOOKS = 100, 600


def exits(shell):
    """{(guest, vCPU): how many exits it has made}"""
    return {name: v["exits"] for name, v in shell.vcpus().items()}


def goes_on(t, shell, what):
    """Each hart of each guest gets its fences done."""
    before, left = exits(shell), set()
    for _ in range(LOOKS):
        shell.run("sleep 0.05")
        now = exits(shell)
        left = {v for v in before if now[v] < before[v] + EXITS}
        if not left:
            return
        # Its harts were started anew since.
        before.update({v: now[v] for v in left if now[v] < before[v]})
    t.check(False, f"{sorted(left)} stand still after: {what}")


def step(rng):
    """Something that may be done to a guest at any time."""
    name = rng.choice(list(GUESTS))
    cpus = ",".join(map(str, sorted(rng.sample(range(4), rng.randint(1, 4)))))
    return rng.choice([
        f"guest pause {name}; guest resume {name}",
        f"guest pause {name}; sleep 0.01; guest resume {name}",
        f"guest reset {name}",
        f"guest stop {name}; guest start {name}",
        f"set {name} affinity={cpus}",
        f"vcpu pin {name}:{rng.randrange(GUESTS[name])} {rng.randrange(4)}",
        f"set {name} slice-us={rng.choice((100, 1000, 10000))}",
        f"sched set {rng.choice(POLICIES)}",
        f"sched set {rng.choice(POLICIES)}",
        "sleep 0.02",
    ])


def storms(t):
    row = t.args["row"]
    m = t.boot(lab=lab(*(guest(name, "hostile", bootargs="attack=rfence",
                               vcpus=vcpus) for name, vcpus in GUESTS.items()),
                       scheduler=row["policy"]),
               mem="256M", **matrix.options(row, "watchdog=off"))
    matrix.expect_host(m, row)
    m.expect("rouse> ", 60)
    shell, rng = Shell(m), random.Random(t.args["seed"])
    shell.quiet()
    goes_on(t, shell, "the start")
    for _ in range(t.args["storms"]):
        done = [step(rng) for _ in range(8)]
        for commands in done:
            shell.run(commands)
        for name, vcpus in GUESTS.items():
            shell.run("; ".join(f"vcpu pin {name}:{n} none"
                                for n in range(vcpus)))
            shell.run(f"set {name} affinity=all")
        goes_on(t, shell, "; ".join(done))
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def tests(full):
    rows = matrix.configurations(
        full, smp=(4,), sstc=(True, False),
        host=("plic", "aclint", "aia", "aclint-sbi"), policy=POLICIES)
    return [Case(f"fences_go_on_whatever_is_done,{matrix.label(row)}", storms,
                 row=row, storms=20 if full else 4, seed=n, timeout=300)
            for n, row in enumerate(rows if full else rows[:3], 1)]
