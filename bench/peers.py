"""What others need for the same operations, in instructions.

One flat S-mode program, unchanged, as a guest with two vCPUs on a QEMU 10.0.2
`virt` machine with two harts under OpenSBI 1.6; instructions of all harts in
all modes, counted by a TCG plugin between marker hints; medians of 200 to 1000
rounds. `native` is the program on OpenSBI with no hypervisor. *Asleep*: the
receiving vCPU has been in WFI for 5 ms on the other hart. The second figure, if
there is one, is of a host with `aia=aplic-imsic`.

That program is not the meter's payload, though it does the same: OWN_PARTS.
"""

WHAT = {
    "native": "no hypervisor",
    "Xvisor": "Xvisor of 2026-03",
    "KVM": "Linux 6.12 KVM with kvmtool",
}

# {what: (the meter's payload's own instructions in it, that program's)}
OWN_PARTS = {"a call": (14, 10), "an IPI to itself": (85, 79)}

# Rows by the meter's name of the operation: {peer: (SBI's IPI, AIA)}.
FIGURES = {
    "sbi_base": {"native": (282,), "Xvisor": (742,), "KVM": (935,)},
    "set_timer": {"native": (340,), "Xvisor": (762,), "KVM": (997,)},
    "plic_load": {"native": (4,), "Xvisor": (1086,), "KVM": (3482,)},
    "uart_load": {"native": (4,), "Xvisor": (1102,), "KVM": (3511,)},
    "ipi_self": {"native": (913,), "Xvisor": (2603,), "KVM": (1754,)},
    "ipi_asleep": {"native": (1020,), "Xvisor": (6840, 5602),
                   "KVM": (9658, 9247)},
    "plic_asleep": {"native": (36,), "Xvisor": (7903, 6665),
                    "KVM": (11961,)},
}


def beside(native=()):
    """FIGURES; without a hypervisor those of the meter's own payload, where it
    was counted so. native: rows of the meter's table, the machine with AIA
    last."""
    out = {name: dict(some) for name, some in FIGURES.items()}
    took = {}
    for row in native:
        took.setdefault(row["row"], []).append(row["median"])
    for name, medians in took.items():
        out.setdefault(name, {})["native"] = tuple(dict.fromkeys(medians))
    return out


# Debian's Linux 6.12 to its init on one hart with -icount shift=0, in seconds
# of virtual time. What was different there stands beside it.
LINUX_S = {"native": 0.86, "KVM": 1.27, "Xvisor": 1.35}
LINUX_BUT = {"Xvisor": "its guest with 2 vCPUs"}


def linux_bars():
    """{whose: seconds} of those that were measured elsewhere."""
    return {f"{WHAT[p]} (" + ", ".join(filter(None, ("elsewhere",
                                                     LINUX_BUT.get(p)))) + ")":
            s for p, s in LINUX_S.items() if p != "native"}
