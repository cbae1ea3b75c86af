"""What becomes of guests that end, of their memory, and of the machine: its
exit status above all, since a lab may be a test in someone else's hands.
"""

import re
import struct

from harness import Case
from labs import Shell, guest, lab, linux, pages, said

RUNNER = dict(vcpus=2, bootargs="seconds=0")


def ending(name, how, **knobs):
    """A guest that ends at once, with a status or by "reboot"."""
    args = "reboot=1" if how == "reboot" else f"exit={how}"
    return guest(name, "hello", bootargs=args, **knobs)


def on_poweroff(t):
    action, code = t.args["action"], t.args["code"]
    m = t.boot(lab=lab(ending("g", code, on_poweroff=action),
                       guest("other", "tick", **RUNNER)), mem="512M")
    if action == "host-poweroff":
        t.equal(m.wait(), code, "QEMU's status")
        return
    shell = Shell(m)
    times = 4 if action == "restart" else 1
    for _ in range(times):
        m.expect(said("g", "hello: bye"), 60)
    m.expect(said("other", r"tick: \d+ s"), 60)
    if action == "restart":
        # Nothing else ends it than somebody at the console.
        t.equal(shell.run("set g on-poweroff=stop; guest wait g"), [],
                "answer")
    got = shell.guests()["g"]
    t.equal((got["state"], got["last_event"], got["last_code"]),
            ("stopped", "poweroff", code), "the end of it")
    t.check(got["boots"] >= times, f"boots: {got['boots']}")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def on_reboot(t):
    action = t.args["action"]
    m = t.boot(lab=lab(ending("g", "reboot", on_reboot=action),
                       guest("other", "tick", **RUNNER)), mem="512M")
    if action == "host-poweroff":
        t.equal(m.wait(), 0, "QEMU's status")
        return
    shell = Shell(m)
    for _ in range(4 if action == "restart" else 1):
        m.expect(said("g", "hello: hart 0 is here"), 60)
    m.expect(said("other", r"tick: \d+ s"), 60)
    got = shell.guests()["g"]
    t.equal(got["last_event"], "reboot", "last event")
    if action == "stop":
        t.equal((got["state"], got["boots"]), ("stopped", 1), "the end of it")
    else:
        t.check(got["boots"] >= 4, f"boots: {got['boots']}")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def memory(shell):
    """The host's memory, without the guests'."""
    return shell.json("mem")[0]


def growth(shell, commands):
    """What memory is gone after these commands: {what: bytes}."""
    before = memory(shell)
    shell.run(commands, 300)
    after = memory(shell)
    return {k: after[k] - before[k] for k in before if k.endswith("_bytes")}


def exactly_as_before(t, shell, commands, times):
    """The host has what it had before, to the byte. That a line was typed is
    remembered and takes memory, so it's compared with as many blanks."""
    shell.run(commands, 300)
    first = memory(shell)
    shell.count = 1000          # so that all lines are equally long
    for n in range(times):
        t.equal(growth(shell, commands)["object_bytes"],
                growth(shell, " " * len(commands))["object_bytes"],
                f"growth of the heap in round {n}")
    last = memory(shell)
    t.equal(pages(last), pages(first), "bytes that are no object's")


def restarts(t):
    """Reset while it runs, again and again: always in clean memory."""
    times = t.args["times"]
    m = t.boot(lab=lab(guest("g", "toucher", vcpus=3, memory="24M",
                             bootargs="passes=1000000"),
                       guest("stays", "tick", **RUNNER)), mem="256M")
    first = said("g", r"toucher: \d+ pages first touched in \d+ us, 0 were not "
                 "zero")
    m.expect(first, 60)
    shell = Shell(m)
    shell.run("watch g")
    for n in range(times):
        shell.run("guest reset g")
        m.expect(first, 60)
        t.equal(shell.guests()["g"]["boots"], n + 2, "boots")
    t.check("were not zero" not in re.sub(" 0 were not zero", "", m.text),
            "memory was not clean")
    shell.quiet()
    shell.run("guest stop g")
    exactly_as_before(t, shell, "guest start g; sleep 1; guest reset g; "
                      "guest stop g", times)
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def not_zeroed(t):
    """No guest finds what another one left behind."""
    m = t.boot(lab=lab(guest("a", "toucher", memory="100M", vcpus=2,
                             autostart=False, populate=t.args["populate"]),
                       guest("b", "toucher", memory="101M", vcpus=2,
                             autostart=False),
                       boot=["guest start a b; guest wait a b"] * 3
                       + ["guest list -j; poweroff"]), mem="256M")
    t.equal(m.wait(120), 0, "QEMU's status")
    t.equal(m.text.count(" 0 were not zero"), 6, "clean starts")
    t.equal(m.text.count("toucher: ok"), 6, "good ends")


def thousand(t):
    """So many guests run, and each comes to its end."""
    # li a0, 0; li a1, 0; li a6, 0; li a7, SRST; ecall: anywhere in memory.
    code = [0x00000513, 0x00000593, 0x00000813, 0x535258b7, 0x3548889b,
            0x00000073]
    (t.folder / "end.bin").write_bytes(struct.pack("<6I", *code))
    guests = [guest(f"g{n}", kernel="end.bin", memory="1M", load=0x80000000)
              for n in range(1000)]
    m = t.boot(lab=lab(*guests, boot=["watch off"]), mem="1536M")
    m.expect(r"g\d+: powered off, status 0", 300)
    shell = Shell(m)
    shell.run("guest wait " + " ".join(f"g{n}" for n in range(1000)), 300)
    ends = [(g["state"], g["boots"], g["last_event"], g["last_code"])
            for g in shell.json("guest list", 120)]
    t.equal(ends, [("stopped", 1, "poweroff", 0)] * 1000, "their ends")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def linux_panics(t):
    """A guest's own panic is the guest's: on-crash or -reboot has its say."""
    m = t.boot(lab=lab(linux("debian", 'panic=1 run="echo c > '
                             '/proc/sysrq-trigger"', on_reboot="stop"),
                       guest("other", "tick", **RUNNER)), mem="512M",
               allow="Kernel panic|Oops|BUG")
    m.expect(r"Kernel panic", 300)
    m.expect(r"debian: .*reboot", 120)
    shell = Shell(m)
    # That it ends is said a moment before it is STOPPED.
    t.equal(shell.run("guest wait debian", 60), [], "answer")
    got = shell.guests()
    t.equal((got["debian"]["state"], got["debian"]["last_event"]),
            ("stopped", "reboot"), "the end of it")
    m.expect(said("other", r"tick: \d+ s"), 60)
    m.line("poweroff 3")
    t.equal(m.wait(), 3, "QEMU's status")


def tests(full):
    cases = []
    for action in ("stop", "restart", "host-poweroff"):
        cases += [Case(f"on_poweroff_{action}_is_done,status_{code}",
                       on_poweroff, timeout=120, action=action, code=code)
                  for code in ((0, 9) if full else (9,))]
        cases.append(Case(f"on_reboot_{action}_is_done", on_reboot,
                          timeout=120, action=action))
    cases += [Case("a_thousand_guests_run_and_end", thousand, timeout=600)]
    cases += [Case("a_guest_is_reset_in_clean_memory_again_and_again",
                   restarts, timeout=900, times=100 if full else 8)]
    cases += [Case(f"no_guest_finds_what_another_left,{populate}", not_zeroed,
                   timeout=300, populate=populate)
              for populate in ("lazy", "eager")]
    return cases + [Case("a_linux_that_panics_ends_as_its_lab_says",
                         linux_panics, timeout=600)]
