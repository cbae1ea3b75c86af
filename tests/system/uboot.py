"""Debian's U-Boot for S-mode, unchanged, as a guest."""

import matrix
from harness import Case
from labs import guest, lab

PROMPT = r"^=> "


def prompt_and_commands(t):
    row = t.args["row"]
    m = t.boot(lab=lab(guest("uboot", memory="128M",
                             kernel="uboot/u-boot.bin"),
                       boot=["console uboot"], poweroff=True),
               mem="512M", **matrix.options(row))
    m.expect(r"\[rouse: console of uboot", 60)
    m.expect(r"U-Boot 20\d\d\.\d+", 120)
    # It counts down before it boots something, unless a key is there.
    m.expect(r"Hit any key|" + PROMPT, 120)
    m.send("\r")
    m.expect(PROMPT, 120)
    m.line("version")
    m.expect(r"^U-Boot 20\d\d\.\d+", 60)
    m.expect(PROMPT, 60)
    m.line("bdinfo")
    m.expect(r"memory\[0\]\s+\[0x80000000-0x87ffffff\], 0x0?8000000 bytes", 60)
    m.expect(PROMPT, 60)
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def tests(full):
    rows = matrix.configurations(full, policy=matrix.policies())
    if not full:
        # Any pair of harts and interrupt hardware is in others' tests.
        rows = [r for r in rows if r["smp"] == 1 or r["host"] == "aia"][:3]
    return [Case(f"u_boot_answers_at_its_prompt,{matrix.label(row)}",
                 prompt_and_commands, timeout=400, row=row) for row in rows]
