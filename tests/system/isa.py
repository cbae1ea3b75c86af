"""Both sides of each choice that QEMU's harts offer: with an extension and
without, each depth of page tables, few VMID bits. A guest that tests all of the
architecture must be content with what the tree says; in a full run one that
tests the SBI, and Linux, with what they are given.
"""

import itertools
import re

import matrix
from harness import Case
from labs import guest, lab, linux, said, says

# What may be there or not, as words of -cpu.
SWITCHES = ("sstc", "svadu", "svinval", "svnapot", "svpbmt", "zawrs", "zicbom",
            "zicboz", "zcb", "v", "smstateen", "debug", "zacas")
# What goes with one of them.
TOGETHER = {"zacas": ("zabha", "zama16b")}
DEPTHS = {"sv39": "sv48=off,sv57=off", "sv48": "sv57=off", "sv57": ""}
VMID_BITS = (14, 2, 0)


def row(on, depth, vmid):
    """A configuration: the set of switches that are on."""
    return {"on": frozenset(on), "depth": depth, "vmid": vmid}


def cpu_of(r):
    words = [f"{word}={'on' if s in r['on'] else 'off'}" for s in SWITCHES
             for word in (s, *TOGETHER.get(s, ()))]
    return ",".join(["rv64", *words, DEPTHS[r["depth"]]]).rstrip(",")


def label(r):
    off = [s for s in SWITCHES if s not in r["on"]]
    what = ("all" if not off else "none" if len(off) == len(SWITCHES)
            else "without_" + "+".join(off))
    return f"{what},{r['depth']},vmid_{r['vmid']}"


def few():
    """Each choice's values at least twice, each with different company."""
    return [row(SWITCHES, "sv57", 14), row((), "sv39", 0),
            row(SWITCHES[::2], "sv48", 2)]


def many():
    """All pairs of values, and each switch alone turned the other way."""
    choices = {s: (True, False) for s in SWITCHES}
    rows = [row([s for s in SWITCHES if r[s]], depth, vmid)
            for r, depth, vmid in zip(
                matrix.pairs(choices), itertools.cycle(DEPTHS),
                itertools.cycle(VMID_BITS[::-1]))]
    rows += [row(set(SWITCHES) - {s}, "sv57", 14) for s in SWITCHES]
    rows += [row({s}, "sv39", 0) for s in SWITCHES]
    rows += [row(SWITCHES, depth, vmid) for depth in DEPTHS
             for vmid in VMID_BITS]
    found = {label(r): r for r in few() + rows}
    return list(found.values())


# What guests aren't told of, and what it takes besides the switch.
HIDDEN = {"svadu", "smstateen", "debug"}
NEEDS = {"svpbmt": "zicbom"}


def told_of(text):
    """The switches whose extensions guests are told of."""
    isa = text.partition("isa: guests see")[2].partition("host:")[0]
    letters, *names = re.findall(r"(?<=rv64)[a-z]+|(?<=_)[a-z0-9]+", isa)
    return {s for s in SWITCHES if s in (letters if s == "v" else names)}


def content(t):
    r = t.args["row"]
    tests = t.args["guests"]
    guests = [guest(n, n, vcpus=2, slice_us=2000) for n in tests]
    ends = [said(n, r"[1-9]\d* passed, (\d+) failed\n") for n in tests]
    if "sbitest" in tests:
        guests.append(linux("debian", on_poweroff="stop"))
        ends.append(says("debian", "rouse-guest: up"))
    m = t.boot(lab=lab(*guests), smp=2, mem="512M", cpu=cpu_of(r),
               append=f"vmid-bits={r['vmid']}")
    m.expect(rf"G-stage up to Sv\d+x4, {r['vmid']} VMID bits\n", 60)
    found = m.expect_all(ends, 300)
    t.equal(re.findall(said("(?:archtest|sbitest)", "(FAIL .*)"), m.text,
                       re.M), [], "what failed")
    t.equal([end[1] for _, end in zip(tests, found)], ["0"] * len(tests),
            "how many failed")
    isa = re.search(r"isa: guests see (\w+) and", m.text)
    t.equal(isa.group(1), r["depth"], "page tables")
    t.equal(told_of(m.text), {s for s in r["on"] - HIDDEN
                              if NEEDS.get(s, s) in r["on"]},
            "what guests are told of")
    t.equal(bool(re.search(r"[1-9] debug triggers a hart", m.text)),
            "debug" in r["on"],
            "guests have debug triggers")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def memory_types(t):
    """Without Zicbom nobody could see to it that who passes by the caches finds
    zeroes in memory."""
    m = t.boot(lab=lab(guest("a", "archtest", bootargs="only=svpbmt"),
                       poweroff=True), smp=1, mem="256M",
               cpu="rv64,svpbmt=on,zicbom=" + t.args["zicbom"])
    m.expect(said("a", r"1 passed, 0 failed\n"))
    t.equal(m.wait(), 0, "QEMU's status")
    told = m.text.partition("isa: guests see")[2].partition("host:")[0]
    t.equal("svpbmt" in told, t.args["zicbom"] == "on", "Svpbmt is told of")


def everything(t):
    """QEMU's harts with all that it has, some of which Rouse doesn't know."""
    m = t.boot(lab=lab(*[guest(n, n, vcpus=2, slice_us=2000)
                         for n in t.args["guests"]], poweroff=True),
               smp=2, mem="256M", cpu="max")
    t.equal(m.wait(), 0, "QEMU's status")
    for name in t.args["guests"]:
        t.check(re.search(said(name, r"[1-9]\d* passed, 0 failed\n"), m.text,
                          re.M), f"{name} is not content")
    t.equal(told_of(m.text), set(SWITCHES) - HIDDEN, "what guests are told of")


# Extensions with state that guests aren't told of, where no Smstateen keeps it
# from them; and harts without double floats.
UNTOLD = {
    "ssctr": "rv64,smctr=on,ssctr=on,sscsrind=on,smcsrind=on",
    "zcmt": "rv64,d=off,v=off,zcmt=on,zcmp=on",
}


def untold(t):
    """Nor can they leave a message there."""
    m = t.boot(lab=lab(guest("a", "archtest", vcpus=2, bootargs="only=state_ "
                             "state_rounds=8"), poweroff=True), smp=1,
               mem="256M", cpu=t.args["cpu"])
    t.equal(m.wait(), 0, "QEMU's status")
    t.check(re.search(said("a", r"[1-9]\d* passed, 0 failed\n"), m.text, re.M),
            "the guest is not content")


def counters(t):
    """Without Zicntr there is neither `cycle` nor a counter that is read there."""
    m = t.boot(lab=lab(guest("arch", "archtest", bootargs="only=counters"),
                       guest("sbi", "sbitest", vcpus=2, bootargs="only=pmu_"),
                       poweroff=True), mem="256M", cpu="rv64,zicntr=off")
    t.equal(m.wait(), 0, "QEMU's status")
    for name, passed in (("arch", 1), ("sbi", 6)):
        t.check(re.search(said(name, rf"{passed} passed, 0 failed\n"), m.text,
                          re.M), f"{name} is not content")
    t.equal("zicntr" in m.text.partition("isa: guests see")[2], False,
            "Zicntr is told of")


def updating(t):
    """Harts with Svadu update A and D for a guest that asks, also where the
    firmware has it off at first, since they have Svade as well."""
    m = t.boot(lab=lab(guest("s", "sbitest", vcpus=2, bootargs="only=fwft_"
                             "lets_the_hart_update_a_and_d"), poweroff=True),
               smp=2, mem="256M", cpu="rv64," + t.args["cpu"])
    m.expect(said("s", ("ok" if t.args["works"] else "skip") +
                  " fwft_lets_the_hart_update_a_and_d"))
    t.equal(m.wait(), 0, "QEMU's status")


def pointers(t):
    """Harts that say they mask pointers are tried, and found to do it wrongly
    (QEMU 10.0), or guests have it."""
    m = t.boot(lab=lab(guest("s", "sbitest", vcpus=2, bootargs="only=fwft_"),
                       poweroff=True), smp=2, mem="256M",
               cpu="rv64,smnpm=on,ssnpm=on")
    m.expect(said("s", r"[1-9]\d* passed, 0 failed\n"))
    t.equal(m.wait(), 0, "QEMU's status")


def tests(full):
    cases = [Case(f"state_of_{name}_is_nobodys", untold, timeout=90, cpu=cpu)
             for name, cpu in UNTOLD.items()]
    cases += [Case("without_zicbom_guests_have_no_svpbmt", memory_types,
                   timeout=60, zicbom="off"),
              Case("pointers_are_masked_rightly_or_not_at_all", pointers,
                   timeout=60),
              *[Case(f"a_and_d_are_updated_with_{cpu.replace(',', '_')}",
                     updating, timeout=60, cpu=cpu, works="svadu=on" in cpu)
                for cpu in ("svade=on,svadu=on", "svade=off,svadu=on",
                            "svade=on,svadu=off")],
              Case("with_zicbom_they_have", memory_types, timeout=60,
                   zicbom="on"),
              Case("guests_are_content_with_harts_that_have_everything",
                   everything, timeout=200, guests=("archtest", "sbitest")
                   if full else ("archtest",))]
    cases += [Case("without_zicntr_guests_have_no_hardware_counters", counters,
                   timeout=60)]
    return cases + [Case(f"guests_are_content_with_harts_with_{label(r)}", content,
                 timeout=600 if full else 200, row=r,
                 guests=("archtest", "sbitest") if full else ("archtest",))
            for r in (many() if full else few()[1:])]
