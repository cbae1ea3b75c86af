"""A firmware that lacks something, or whose calls fail: each is one line, and
what doesn't depend on it goes on. The firmware is tests/firmware/bad.c, and for
what OpenSBI itself can be made to refuse see faults.py."""

import os
import re
import subprocess

from faults import board, pack, tree_write
from harness import TOP, Case
from labs import guest, lab, said

CROSS = os.environ.get("CROSS", "riscv64-unknown-elf-")


def firmware(t, *words):
    """Its image, compiled with these words."""
    elf, out = t.folder / "bad.elf", t.folder / "bad.bin"
    subprocess.run(
        [CROSS + "gcc", "-O1", "-march=rv64imac_zicsr", "-mabi=lp64",
         "-mcmodel=medany", "-ffreestanding", "-nostdlib", "-Wall", "-Werror",
         "-Wl,--section-start=.first=0x80000000,-Ttext=0x80001000",
         "-Wl,-e,_start,--build-id=none,--no-warn-rwx-segments",
         *[f"-D{word}" for word in words],
         TOP / "tests" / "firmware" / "bad.c", "-o", elf],
        check=True)
    subprocess.run([CROSS + "objcopy", "-O", "binary", elf, out], check=True)
    return out


def refused(t):
    m = t.boot(lab=lab(guest("hello", "hello")), mem="256M",
               bios=firmware(t, *t.args["words"]), cpu=t.args["cpu"])
    t.equal(m.wait(), 1, "QEMU's status")
    said_by = re.findall(r"^rouse: (.*)$", m.text, re.M)
    t.equal(len(said_by), 1, f"refusals ({said_by})")
    t.check(re.search(t.args["why"], said_by[0]), f"refused with {said_by[0]!r}")


def good(t):
    """The firmware itself is good enough, with nothing left out."""
    m = t.boot(lab=lab(guest("hello", "hello", vcpus=3), poweroff=True),
               mem="256M", smp=3, bios=firmware(t), cpu=t.args["cpu"])
    m.expect(r"cpus: 3 of 3 harts, boot hart 0\n")
    m.expect(said("hello", "hello: bye"))
    t.equal(m.wait(), 0, "QEMU's status")


def no_hart_starts(t):
    m = t.boot(lab=lab(guest("hello", "hello", vcpus=3), poweroff=True),
               mem="256M", smp=3, bios=firmware(t, "BAD_HSM"))
    for hart in (1, 2):
        m.expect(rf"error: hart {hart}: the firmware won't start it "
                 r"\(error -4\); left out\n")
    m.expect(r"cpus: 1 of 3 harts, boot hart 0\n")
    m.expect(said("hello", "hello: bye"))
    t.equal(m.wait(), 0, "QEMU's status")


def nobody_is_rung(t):
    """A CPU that sleeps and has no timer is out of reach: that's said, and the
    watchdog names it. What doesn't need it goes on."""
    m = t.boot(lab=lab(guest("far", "hello", pin=2),
                       guest("near", "hello", pin=0)), mem="256M", smp=3,
               bios=firmware(t, "BAD_IPI"))
    m.expect_all([
        r"error: hart \d: the firmware won't ring it \(error -4\)\n",
        said("near", "hello: bye"),
        r"error: watchdog: CPU 2 has not answered for \d+ s"], 120)
    m.line("guest list")
    m.expect(r"^far +\w+ ")
    t.equal(m.text.count("won't ring"), 1, "lines about it")
    m.line("poweroff 3")
    t.equal(m.wait(), 3, "QEMU's status")


def no_reboot(t):
    m = t.boot(lab=lab(guest("hello", "hello", autostart=False)), mem="256M",
               bios=firmware(t, *t.args["words"]))
    m.expect("rouse> ")
    m.line("reboot")
    m.expect(r"error: reboot: the firmware won't \(error -\d\)\n")
    m.line("guest start hello")
    m.expect(said("hello", "hello: bye"))
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def no_end(t):
    """Neither the firmware nor a device can end the machine."""
    packed = pack(t, guest("hello", "hello"))
    text = board(t, packed, "virt", 2)
    tree = tree_write(t, text.replace("sifive,test1", "nobodys,test1"))
    m = t.boot(initrd=packed, mem="256M", bios=firmware(t, "BAD_SRST"),
               options=["-dtb", str(tree)])
    m.expect(said("hello", "hello: bye"))
    m.expect(r"^rouse: this machine and its firmware have no way to power "
             r"off; it is halted\n")


def no_cache_blocks(t):
    """An instruction that the tree promises and one hart's firmware denies:
    guests aren't told of it, and Rouse zeroes their RAM without."""
    m = t.boot(lab=lab(guest("toucher", "toucher", vcpus=2),
                       guest("isa", "archtest",
                             bootargs="only=instructions_are_there"),
                       poweroff=True),
               mem="256M", smp=2, bios=firmware(t, *t.args["words"]))
    m.expect(rf"isa: not every hart may execute {t.args['ext']}; "
             r"done without\n")
    m.expect_all([said("toucher", r"toucher: ok\n"),
                  said("isa", r"1 passed, 0 failed\n")])
    t.equal(m.wait(), 0, "QEMU's status")
    told = m.text.partition("isa: guests see")[2]
    t.equal(["zicboz" in told, "zicbom" in told],
            [t.args["ext"] != "zicboz", t.args["ext"] != "zicbom"],
            "whether guests are told of Zicboz and Zicbom")


REFUSED = [
    ("hsm", ("NO_HSM",), "rv64", r"^the firmware has no SBI HSM extension, "),
    ("ipi", ("NO_IPI",), "rv64", r"^this machine has no doorbell: "),
    ("time", ("NO_TIME",), "rv64,sstc=off", r"^this machine has no timer: "),
]


# What is denied to which harts: the one that boots, the other, both.
CACHE_BLOCKS = [("NO_CBZE=1", "zicboz"), ("NO_CBZE=2", "zicboz"),
                ("NO_CBIE=2", "zicbom"), ("NO_CBZE=3", "zicboz"),
                ("NO_CBCFE=2", "zicbom")]


def tests(full):
    cases = [Case(f"a_firmware_without_{name}_is_refused", refused,
                  words=words, cpu=cpu, why=why)
             for name, words, cpu, why in REFUSED]
    cases += [Case(f"the_least_that_a_firmware_has_is_enough,{cpu}", good,
                   cpu=cpu) for cpu in ("rv64", "rv64,sstc=off")]
    cases += [Case("harts_that_the_firmware_denies_are_left_out",
                   no_hart_starts, timeout=60),
              Case("a_doorbell_that_the_firmware_denies_is_said",
                   nobody_is_rung, timeout=240)]
    cases += [Case(f"a_reboot_that_can_not_be_is_said,{'_'.join(words)}",
                   no_reboot, words=words)
              for words in (("BAD_SRST",), ("NO_SRST",))]
    cases += [Case(f"cache_blocks_that_the_firmware_denies_are_not_used,{word}",
                   no_cache_blocks, timeout=60, words=(word,), ext=ext)
              for word, ext in CACHE_BLOCKS[:None if full else 3]]
    return cases + [Case("a_machine_that_nobody_can_end_says_so", no_end,
                         timeout=60)]
