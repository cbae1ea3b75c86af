"""The machine starts, or says in one line why it can't."""

from harness import Case


def no_lab(t):
    m = t.boot(smp=t.args["smp"], mem="256M")
    status = m.wait()
    t.check(status != 0, "QEMU's status is 0, and nothing was run")
    t.check("initrd" in m.text.split("Boot HART")[-1],
            "no word of the missing initrd on the console")


def tests(full):
    harts = (1, 2, 4, 8, 16) if full else (2,)
    return [Case(f"a_machine_without_a_lab_is_refused_on_{n}_harts", no_lab,
                 timeout=60, smp=n) for n in harts]
