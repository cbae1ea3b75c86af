"""The bare-metal guests, one after the other on one machine.

Each judges itself and says so: its last lines are looked for here, along with
the status that it powered off with. Two guests that test all of the SBI and of
the machine that a guest sees print a line a test.
"""

import json
import re

import matrix
from harness import Case
from labs import guest, heard, lab, said

# What a guest that is content prints, with all of its harts.
SAYS = {
    "hello": [r"hello: hart 0 of {n}", r"hello: hart {last} is here",
              r"hello: bye"],
    "tick": [r"tick: {n} harts", r"tick: ok"],
    "pingpong": [r"pingpong: {n} harts, \d+ rounds, 0 failures"],
    "toucher": [r"toucher: \d+ pages first touched in \d+ us, 0 were not zero",
                r"toucher: filled and read back in \d+ us, 0 wrong",
                r"toucher: ok"],
    # The text that DBCN and putchar were given, to the letter.
    "sbitest": ["dbcn: written", "dbcn: over a page", "dbcn: bytes",
                "legacy: putchar", r"[1-9]\d* passed, 0 failed"],
    "archtest": [r"[1-9]\d* passed, 0 failed"],
    "devtest": [r"[1-9]\d* passed, 0 failed"],
}
ARGS = {"tick": "seconds=1", "pingpong": "rounds=500 watchdog_ms=20000"}


def one_after_the_other(t):
    row = t.args["row"]
    room = matrix.rooms(row["policy"], row["smp"]) or 4
    vcpus = min(4, room)
    guests = [guest(name, name, autostart=False, vcpus=vcpus,
                    slice_us=2000, bootargs=ARGS.get(name)) for name in SAYS]
    script = [f"guest start {name}; guest wait {name}" for name in SAYS]
    m = t.boot(lab=lab(*guests, boot=script + ["guest list -j; poweroff"]),
               mem="512M", **matrix.options(row))
    matrix.expect_host(m, row)
    t.equal(m.wait(t.args["limit"]), 0, "QEMU's status")
    judge(t, m.text, vcpus)


def judge(t, text, vcpus):
    ended = {}
    for line in re.findall(r'^\{"type":"guest".*\}$', text, re.M):
        one = json.loads(line)
        ended[one["name"]] = one
    bad = []
    for name, lines in SAYS.items():
        own = heard(name, text)
        for line in lines:
            line = line.format(n=vcpus, last=vcpus - 1)
            if not re.search(line, own):
                bad.append(f"{name} did not say {line!r}")
        bad += re.findall(said(name, "(FAIL .*)"), text, re.M)
        got = ended.get(name, {})
        end = (got.get("state"), got.get("last_event"), got.get("last_code"),
               got.get("boots"), got.get("vcpus_on"))
        if end != ("stopped", "poweroff", 0, 1, 0):
            bad.append(f"{name} ended as {end}")
    t.check(not bad, "\n".join(bad))


def above_4_gib(t):
    """A guest with RAM on both sides of 4 GiB, all of which it may name in its
    SBI calls. Nearly none of it is touched."""
    m = t.boot(lab=lab(guest("big", "sbitest", memory="2064M", vcpus=2,
                             bootargs="only=high_"), poweroff=True),
               mem="2304M")
    t.equal(m.wait(), 0, "QEMU's status")
    own = heard("big", m.text)
    t.check(re.search("4 passed, 0 failed", own), "it is not content")
    t.check("dbcn: across 4 GiB" in own, "what it wrote is not seen")


def tests(full):
    rows = matrix.configurations(full, policy=matrix.policies())
    return [Case(f"every_guest_is_content_with_its_machine,{matrix.label(row)}",
                 one_after_the_other, timeout=600, row=row, limit=570)
            for row in rows] + [
        Case("sbi_takes_addresses_above_4_gib", above_4_gib, timeout=120)]
