"""Interrupts of the host that Rouse never asked for: what somebody has enabled
before it came is cleared, and a line that nobody serves, and that interrupts all
the same, is switched off and told of. QEMU's clock is that line: its alarm stays
high. Whoever enabled it is played by QEMU's gdb stub (stub.py).
"""

from harness import Case
from labs import Shell, guest, lab, said
from stub import Stub

PLIC, APLIC, AIA = "virt", "virt,aia=aplic", "virt,aia=aplic-imsic"
PLIC_AT, APLIC_AT, FILES_AT, CLOCK_AT = 0xc000000, 0xd000000, 0x28000000, 0x101000
UART, CLOCK, SOURCES = 10, 11, 95
HARTS = 2


def sourcecfg(irq):
    return APLIC_AT + 4 * irq


def plic_enables(hart):
    """The first word of what a hart's S-mode takes."""
    return PLIC_AT + 0x2000 + 0x80 * (2 * hart + 1)


def clock_enable(stub, machine, hart):
    """Lets the clock interrupt a hart, or, by messages, ring its doorbell."""
    if machine == PLIC:
        stub.write32(plic_enables(hart), 1 << UART | 1 << CLOCK)
        # QEMU looks at what pends when a priority is written.
        stub.write32(PLIC_AT + 4 * CLOCK, 1)
        return
    stub.write32(sourcecfg(CLOCK), 6)
    stub.write32(APLIC_AT + 0x3000 + 4 * CLOCK, hart << 18 | 1)
    stub.write32(APLIC_AT + 0x1edc, CLOCK)


def alarm(stub):
    """From here on the clock's line is high."""
    for at, value in ((0x10, 1), (0xc, 0), (0x8, 1)):
        stub.write32(CLOCK_AT + at, value)


def enabled(stub, machine, boot):
    """(hart, source) of all that is."""
    if machine == PLIC:
        return [(hart, word * 32 + bit) for hart in range(HARTS)
                for word in range(SOURCES // 32 + 1)
                for words in [stub.read32(plic_enables(hart) + 4 * word)]
                for bit in range(32) if words >> bit & 1]
    return [(boot, irq) for irq in range(1, SOURCES + 1)
            if stub.read32(sourcecfg(irq))]


def stray(t):
    machine = t.args["machine"]
    stub = Stub(t, stopped=True)
    m = t.boot(lab=lab(guest("g", "tick", vcpus=HARTS, pin=[0, 1],
                             bootargs="seconds=0")),
               smp=HARTS, mem="256M", machine=machine, options=stub.options)
    stub.attach()
    boot = stub.run_until("host_irq_init")
    for hart in range(HARTS):
        clock_enable(stub, machine, hart)
    stub.run_all()
    m.expect("^rouse> ")
    stub.stop()
    t.equal(enabled(stub, machine, boot), [(boot, UART)], "what is enabled")
    alarm(stub)
    stub.run_all()
    shell = Shell(m)
    shell.run("watch g")
    m.expect(said("g", r"tick: \d+ s"))
    t.check("interrupt" not in m.text[m.text.index("rouse> "):],
            "an interrupt that nothing lets through is told of")

    stub.stop()
    clock_enable(stub, machine, boot)
    for identity in (9, 63, 64, 200, 255) if machine == AIA else ():
        for hart in range(HARTS):
            stub.write32(FILES_AT + 0x1000 * hart, identity)
    stub.run_all()
    if machine != AIA:
        m.expect(rf"warning: CPU 0: interrupt source {CLOCK} is none of "
                 "Rouse's: switched off\n")
    for _ in range(2):
        m.expect(said("g", r"tick: \d+ s"))
    shell.run("mem")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")
    t.equal(m.text.count("none of Rouse's"), int(machine != AIA), "warnings")


def tests(full):
    return [Case("a_source_that_nobody_asked_for_is_cleared_or_switched_off,"
                 f"{machine}", stray, timeout=240, machine=machine)
            for machine in (PLIC, APLIC, AIA)]
