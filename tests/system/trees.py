"""Device trees that say what can't be, or say it twice: what is sound of them is
used, and where nothing can be done without the rest one line says so."""

import re

from faults import board, pack, tree_write
from firmware import firmware
from harness import CPU, Case
from labs import guest, said
from matrix import HOSTS


PLIC, ACLINT = (HOSTS[h][0] for h in ("plic", "aclint"))
# Of its two APLICs, the one for S-mode.
APLIC, S_APLIC = "virt,aia=aplic", "interrupt-controller@d000000"


def changed(t, packed, *changes, machine="virt"):
    """The machine's tree with regular expressions replaced, each of which must
    be there once."""
    text = board(t, packed, machine, 2)
    for old, new in changes:
        text, n = re.subn(old, new, text, flags=re.S)
        t.equal(n, 1, f"places of {old!r} in the tree")
    return ["-dtb", str(tree_write(t, text))]


def ram(*nodes):
    """What makes these the tree's nodes of memory."""
    return (r"\tmemory@80000000 \{.*?\n\t\};\n",
            "".join(f'\tmemory@{i} {{ device_type = "memory"; '
                    f"reg = <{reg}>; }};\n" for i, reg in enumerate(nodes)))


def memory(t):
    """Guests write to nearly all of it, and nobody finds another one's."""
    names = ("one", "two")
    packed = pack(t, *[guest(n, "toucher", memory="96M", populate="eager",
                             bootargs=f"seed={i}")
                       for i, n in enumerate(names)])
    m = t.boot(initrd=packed, mem="256M",
               options=changed(t, packed, ram(*t.args["nodes"])))
    if t.args["says"]:
        m.expect(t.args["says"])
    total = int(m.expect(r"memory: \d+ MiB free of (\d+)\n").group(1))
    t.check(240 <= total <= 256, f"{total} MiB are counted, of 256")
    m.expect_all([said(n, r"toucher: ok\n") for n in names], 120)
    t.equal(m.wait(), 0, "QEMU's status")


def device(t):
    """One whose registers are not where they should be is not used."""
    machine = t.args["machine"]
    packed = pack(t, guest("hello", "hello", vcpus=t.args["harts"],
                           pin=list(range(t.args["harts"]))))
    m = t.boot(initrd=packed, mem="256M", machine=machine, bios=firmware(t),
               cpu=t.args["cpu"],
               options=changed(t, packed, *t.args["changes"],
                               machine=machine))
    m.expect(t.args["says"])
    m.expect(said("hello", "hello: bye"))
    t.equal(m.wait(), 0, "QEMU's status")


def end(t):
    """The device that ends the machine is not where it should be: to find that
    out is a panic, and that asks the firmware, which has the same tree."""
    packed = pack(t, guest("hello", "hello"))
    m = t.boot(initrd=packed, mem="256M", allow="panic:",
               options=changed(t, packed,
                               (r"(test@100000 \{[^}]*?reg = <0x0+) 0x100000",
                                r"\g<1> 0x50000")))
    m.expect("^panic on CPU 0:\n  store access fault in the hypervisor")
    m.expect("^sbi_trap_error")
    t.equal(m.text.count("another one"), 0, "panics in the panic")


def refused(t):
    packed = pack(t, guest("hello", "hello"))
    # QEMU would put its own initrd into the tree.
    m = t.boot(mem="256M", options=changed(t, packed, *t.args["changes"]),
               bios=firmware(t) if t.args["own_firmware"] else None)
    m.expect(rf"^rouse: {t.args['why']}\n")
    m.wait()
    t.equal(m.text.count("panic on CPU"), 0, "panics")


ALL = "0 0x80000000 0 0x10000000"
NO_ROOM = "memory above 0x3c80000000 is left out: Sv39 has no room\n"
# A quick run has every other one.
MEMORY = [
    ("twice", (ALL, ALL)),
    ("the_part_first", ("0 0x88001000 0 0x1001000", ALL)),
    ("a_part_of_it_again", (ALL, "0 0x88000800 0 0x1001000")),
    ("in_pieces_that_overlap",
     ("0 0x80000000 0 0xc000000 0 0x88000000 0 0x8000000",)),
    ("in_pieces_that_meet_in_our_image",
     ("0 0x80000000 0 0x20f000", "0 0x8020f000 0 0xfdf1000")),
    ("and_some_of_no_size", (ALL, "0 0x90000000 0 0", "0 0x700 0 0x10")),
    ("and_some_without_end", (ALL, "0xffffffff 0xfffff000 0 0x2000")),
    ("and_some_that_no_hart_reaches", (ALL, "0x1000000 0 0 0x10000000"),
     NO_ROOM),
    ("and_some_beyond_the_map", (ALL, "0x3c 0x80000000 0 0x10000000"),
     NO_ROOM),
]


def short(node, size):
    """What makes the node's registers so few bytes."""
    name = node if "@" in node else node + "@[0-9a-f]+"
    return [(rf"(\t{name} \{{[^}}]*?"
             r"reg = <0x[0-9a-f]+ 0x[0-9a-f]+ 0x0+) 0x[0-9a-f]+>",
             rf"\g<1> {size:#x}>")]


# What is wrong, where, the harts that are left, what is said; on which harts.
DEVICES = [
    ("a_plic_without_contexts", PLIC, 2, short("plic", 0x1000),
     "host: .*, interrupts none"),
    ("a_plic_with_one_context", PLIC, 2, short("plic", 0x201000), "cpus: 2"),
    ("more_sources_than_there_can_be", PLIC, 2,
     [("interrupts = <0x0a>", "interrupts = <0x7fffffff>"),
      ("riscv,ndev = <0x[0-9a-f]+>", "riscv,ndev = <0xffffffff>")],
     "cpus: 2"),
    ("an_aplic_without_targets", APLIC, 2, short(S_APLIC, 0x3ffc),
     "host: .*, interrupts none"),
    ("an_aplic_without_harts", APLIC, 2, short(S_APLIC, 0x4000), "cpus: 2"),
    ("a_clock_without_registers", PLIC, 2, short("rtc", 0),
     "warning: rtc@101000: has registers of 0 bytes, not 8: left out"),
    ("a_way_to_end_without_registers", PLIC, 2, short("test", 0),
     "warning: test@100000: has registers of 0 bytes, not 4: left out"),
    ("a_doorbell_for_one_hart", ACLINT, 1, short("sswi", 4),
     r"error: hart 1 is not wired to the ACLINT SSWI.*; left out"),
    ("a_frequency_of_two_cells", PLIC, 2,
     [("timebase-frequency = <", "timebase-frequency = <0 ")], "cpus: 2"),
    ("vector_registers_that_no_hart_has", PLIC, 2, [],
     "isa: harts have vector registers of 0 to 0 bytes; done without v",
     "rv64,v=off"),
]


def initrd(start, end):
    return [(rf"linux,initrd-{word} = <.*?>;",
             f"linux,initrd-{word} = <{at}>;")
            for word, at in (("start", start), ("end", end))]


NO_INITRD = r"the initrd, from 0x[0-9a-f]+ to 0x[0-9a-f]+, is not in memory"
REFUSED = [
    ("an_initrd_that_ends_before_it_begins",
     initrd("0x88000000", "0x87000000"), NO_INITRD),
    ("an_initrd_below_memory", initrd("0x30000000", "0x30010000"), NO_INITRD),
    ("an_initrd_that_reaches_beyond_memory",
     initrd("0x8fff0000", "0x90010000"), NO_INITRD),
    ("an_initrd_beyond_all_addresses",
     initrd("0xff 0x88000000", "0xff 0x88010000"), NO_INITRD),
    ("a_tree_outside_of_memory", [ram("0 0x80000000 0 0x2000000")],
     r"the device tree, at 0x[0-9a-f]+, is not in the memory that it tells of"),
    ("a_boot_hart_that_is_no_cpu",
     [(r'(cpu@0 \{.*?)device_type = "cpu";', r'\1device_type = "gpu";')],
     "the device tree has no usable node for hart 0, on which this runs"),
    ("a_clock_that_stands_still",
     [("timebase-frequency = <.*?>;", "timebase-frequency = <0>;")],
     "the device tree's /cpus/timebase-frequency is 0 Hz, not 1 to 4294967295"),
]
# OpenSBI would choose another hart, or stop.
OWN_FIRMWARE = {"a_boot_hart_that_is_no_cpu"}


def tests(full):
    return ([Case(f"memory_is_there_{name}", memory, timeout=120, nodes=nodes,
                  says=says[0] if says else None)
             for name, nodes, *says in MEMORY[::1 if full else 2]] +
            [Case(f"{name}_is_no_panic", device, timeout=60, machine=machine,
                  harts=harts, changes=changes, says=says,
                  cpu=cpu[0] if cpu else CPU)
             for name, machine, harts, changes, says, *cpu in DEVICES] +
            [Case("a_way_to_end_that_is_not_there_is_tried_once", end,
                  timeout=60)] +
            [Case(f"{name}_is_refused", refused, timeout=60, changes=changes,
                  why=why, own_firmware=name in OWN_FIRMWARE)
             for name, changes, why in REFUSED])
