"""What can't run is refused: one line that says why, a failing status, and
nothing has been started.

Here it's the whole way from a lab file or an option to QEMU's exit status;
tests/unit has every rule of the binding.
"""

import os
import re
import subprocess

from harness import Case, TOP
from labs import guest, lab
from newc import Archive

HELLO = guest("a", "hello")


def one(extra="", **knobs):
    """A lab with one hello guest, `a`, that has these knobs."""
    return lab(guest("a", "hello", extra=extra, **knobs))


def root(text):
    """A lab with a line more at its root."""
    return lab(HELLO).replace("\tguests {", f"\t{text}\n\tguests {{", 1)


def said_by(m):
    """Rouse's refusals on a machine's console."""
    return re.findall(r"^rouse: (.*)$", m.text, re.M)


def judge(t, m, why):
    t.equal(m.wait(), 1, "QEMU's status")
    lines = said_by(m)
    t.equal(len(lines), 1, f"lines of refusal ({lines})")
    t.check(re.search(why, lines[0]), f"refused with {lines[0]!r}, which does "
            f"not match {why!r}")
    t.check("starts at" not in m.text, "a guest was started all the same")
    t.check(m.text.rstrip().endswith(lines[0]), "something comes after it")


def machine(t):
    judge(t, t.boot(**{"lab": lab(HELLO), "mem": "256M", **t.args["options"]}),
          t.args["why"])


# name, what is special about the machine, what Rouse says
MACHINES = [
    ("harts_without_the_h_extension", {"cpu": "rv64,h=false"},
     r"no H extension.*-cpu rv64,h=true"),
    ("no_initrd", {"lab": None}, r"no initrd: .*make lab"),
    ("no_such_scheduler", {"append": "sched=foo"},
     r"^sched=foo: no such scheduler; expected \w+, \w+"),
    ("an_unknown_doorbell", {"append": "doorbell=foo"},
     r"^doorbell=foo: expected imsic, sswi or sbi$"),
    ("a_doorbell_that_the_machine_has_not,imsic",
     {"append": "doorbell=imsic"}, r"^doorbell=imsic: this machine has none$"),
    ("a_doorbell_that_the_machine_has_not,sswi",
     {"append": "doorbell=sswi"}, r"^doorbell=sswi: this machine has none$"),
    ("an_unknown_timer", {"append": "timer=foo"},
     r"^timer=foo: expected sstc or sbi$"),
    ("a_timer_that_the_harts_have_not",
     {"append": "timer=sstc", "cpu": "rv64,sstc=off"},
     r"^timer=sstc: these harts have none$"),
    ("too_many_vmid_bits", {"append": "vmid-bits=15"},
     r"^vmid-bits=.*: expected a number from 0 to 14$"),
    ("vmid_bits_that_are_no_number", {"append": "vmid-bits=few"},
     r"^vmid-bits=.*: expected a number from 0 to 14$"),
    ("an_unknown_watchdog", {"append": "watchdog=bark"},
     r"^watchdog=bark: expected report, panic or off$"),
    ("software_events_neither_on_nor_off", {"append": "sse=maybe"},
     r"^sse=maybe: expected on or off$"),
    ("a_failure_of_no_allocation", {"append": "fail=0"},
     r"^fail=: expected the number of an allocation, from 1$"),
    ("a_guest_larger_than_the_machine",
     {"lab": one(memory="512M")},
     r"^a: memory: \d+ MiB free on the host, 512 MiB wanted$"),
    ("guests_that_are_too_large_together",
     {"lab": lab(*[guest(n, "hello", memory="100M") for n in "abc"])},
     r"^c: memory: \d+ MiB free on the host, 100 MiB wanted$"),
    ("a_thousand_guests_that_are_too_large_together",
     {"lab": lab(*[guest(f"g{n}", "hello") for n in range(1000)])},
     r"^g\d+: memory: \d+ MiB free on the host, 16 MiB wanted$"),
]


def a(prop):
    return rf"^lab: /guests/a: {prop}: "


# name, lab, what Rouse says
LABS = [
    ("an_unknown_property", one(wieght=3),
     a("wieght") + r"no such property; there are vcpus, memory, "),
    ("an_unknown_property_of_the_root", root("speed = <3>;"),
     r"^lab: /: speed: no such property; there are scheduler, "),
    ("an_unknown_property_of_a_device",
     one("devices { rtc { speed = <3>; }; };\n"),
     r"^lab: /guests/a/devices/rtc: speed: no such property"),
    ("an_unknown_node", one("hardware { };\n"),
     a("hardware") + "no such node; there is devices$"),
    ("an_unknown_node_of_the_root", root("hosts { };").replace(
        "\thosts { };\n", "").replace("\n};\n", "\n\thosts { };\n};\n"),
     r"^lab: /: hosts: no such node; there is guests$"),
    ("an_unknown_device", one("devices { printer { absent; }; };\n"),
     r"^lab: /guests/a/devices/printer: there is no such device$"),
    ("a_number_where_text_belongs", one(memory=16),
     a("memory") + "expected one string$"),
    ("text_where_a_number_belongs", one(vcpus="two or three"),
     a("vcpus") + "expected one cell, such as <1>$"),
    ("two_numbers_where_one_belongs", one(weight=[1, 2]),
     a("weight") + "expected one cell"),
    ("a_value_for_what_takes_none",
     lab(guest("a", "hello", autostart=False, extra="autostart = <1>;\n")),
     a("autostart") + "takes no value$"),
    ("a_weight_of_nothing", one(weight=0),
     a("weight") + "0 is outside 1 to 65535$"),
    ("a_guest_without_vcpus", one(vcpus=0),
     a("vcpus") + "0 is outside 1 to 512$"),
    ("a_cap_beyond_all_vcpus", one(cap=101),
     a("cap") + "101 is more than 1 vCPU can use; expected 0 to 100$"),
    ("a_priority_of_256", one(priority=256),
     a("priority") + "256 is outside 0 to 255$"),
    ("memory_that_is_no_size", one(memory="lots"),
     a("memory") + '"lots" is no size; expected one such as "192M"$'),
    ("memory_that_is_no_number_of_pages", one(memory="2097153"),
     a("memory") + "0x200001 is not a multiple of 4096$"),
    ("memory_that_the_image_does_not_fit",
     one(memory="1M"), a("memory") + ".*outside RAM"),
    ("an_unknown_word", one(wfi="nap"),
     a("wfi") + '"nap" is not trap, native or poll$'),
    ("an_unknown_action", one(on_crash="shrug"),
     a("on-crash") + '"shrug" is not stop, restart or host-poweroff$'),
    ("a_guest_without_memory",
     lab(guest("a", kernel="baremetal/hello.elf")),
     a("memory") + "is missing"),
    ("a_guest_without_a_kernel", lab(guest("a", memory="16M")),
     a("kernel") + "is missing"),
    ("no_guest", lab(), r"^lab: /guests: is empty; "),
    ("no_guests_node", '/dts-v1/;\n/ { compatible = "rouse,lab"; };\n',
     r"^lab: /: guests: is missing; "),
    ("another_compatible", lab(HELLO).replace("rouse,lab", "rouse,lap"),
     r'^lab: /: compatible: expected "rouse,lab"$'),
    ("a_policy_that_there_is_not", lab(HELLO, scheduler="fair"),
     r'^lab: /: scheduler: there is no scheduler "fair"$'),
    ("a_name_with_a_strange_letter", lab(guest("a+b", "hello")),
     r"^lab: /guests/a\+b: a name is made of letters, digits, "),
    ("a_cpu_that_there_is_not", one(affinity="0-7"),
     a("affinity") + "there is no CPU 7; there are CPUs 0 to 1$"),
    ("a_pin_outside_affinity", one(affinity="0", pin=1),
     a("pin") + "CPU 1 is not in affinity$"),
    ("fewer_pins_than_vcpus", one(vcpus=2, pin=1),
     a("pin") + "names 1 CPU for 2 vCPUs; expected one CPU a vCPU$"),
    ("an_entry_for_an_elf_file", one(entry=0x80200000),
     a("entry") + "only a flat image has one"),
    ("devices_on_top_of_each_other",
     one("devices { rtc { reg-base = <0x100000>; }; };\n"),
     r"^a: devices: rtc at 0x100000 overlaps finisher$"),
    ("a_device_on_top_of_ram",
     one("devices { rtc { reg-base = <0x80001000>; }; };\n"),
     r"^a: devices: rtc at 0x80001000 overlaps memory$"),
    ("two_devices_on_one_line", one("devices { rtc { irq = <10>; }; };\n"),
     r"^a: devices: "),
    ("more_vcpus_than_a_guest_can_have", one(vcpus=513),
     a("vcpus") + "513 is outside 1 to 512$"),
]


def packed(t, text):
    """A lab's archive, as bytes."""
    path, out = t.folder / "whole.dts", t.folder / "whole.cpio"
    path.write_text(text)
    subprocess.run([TOP / "tools" / "lab", path, out], check=True,
                   stdout=subprocess.DEVNULL)
    return out.read_bytes()


def renamed(data, old, new):
    """The same archive with one zero-terminated text changed in its tree."""
    old, new = old.encode() + b"\0", new.encode() + b"\0"
    assert len(old) == len(new) and data.count(old) >= 1
    return data.replace(old, new)


def only(name, data):
    """An archive with one file."""
    def make(path):
        with open(path, "wb") as out:
            archive = Archive(out)
            archive.file(name, data)
            archive.close()
    return make


def archive(t):
    path = t.folder / "broken.cpio"
    made = t.args["make"](t)
    if callable(made):
        made(path)
    else:
        path.write_bytes(made)
    judge(t, t.boot(initrd=path, mem="256M"), t.args["why"])


NOT_SOUND = r"^lab: lab.dtb is no sound device tree$"
NO_ARCHIVE = r"^lab: the initrd is no sound cpio archive"

# What tools/lab would not pack: name, how to make it, what Rouse says.
ARCHIVES = [
    ("an_initrd_that_is_no_archive", lambda t: b"once upon a time\n" * 300,
     NO_ARCHIVE),
    ("an_archive_cut_short", lambda t: packed(t, one())[:5000], NO_ARCHIVE),
    ("an_archive_without_a_lab", lambda t: only("README", b"hello\n"),
     r"^lab: the initrd has no file lab.dtb; "),
    ("a_lab_that_is_no_tree", lambda t: only("lab.dtb", b"/dts-v1/;\n" * 30),
     NOT_SOUND),
    ("a_tree_cut_short",
     lambda t: only("lab.dtb", b"\xd0\x0d\xfe\xed\0\0\x40\0" + bytes(200)),
     NOT_SOUND),
    ("an_archive_without_the_image",
     lambda t: renamed(packed(t, one()), "baremetal/hello.elf",
                       "baremetal/hallo.elf").replace(
                           b"baremetal/hallo.elf", b"baremetal/hello.elf", 1),
     r'^lab: /guests/a: kernel: the lab\'s archive has no file '
     r'"baremetal/h.llo.elf"$'),
    ("two_guests_of_one_name",
     lambda t: renamed(packed(t, lab(guest("twin-a", "hello"),
                                     guest("twin-b", "hello"))),
                       "twin-b", "twin-a"),
     r"^lab: /guests/twin-a: is there twice$"),
    ("one_property_twice",
     lambda t: renamed(packed(t, one(vcpus=1, wcpus=2)), "wcpus", "vcpus"),
     a("vcpus") + "is there twice$"),
]


# --- what never gets as far as Rouse -----------------------------------------


def command(t):
    """A tool refuses: last but for make's own line, and nothing is made."""
    words = [word.format(folder=t.folder) for word in t.args["command"]]
    for name, text in t.args.get("files", {}).items():
        (t.folder / name).write_text(text)
    # Of a make that runs us only the terminal is inherited.
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "LAB", "OUT", "SMP")}
    done = subprocess.run(words, cwd=TOP, env={**env, "SETUP": "0"}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=150)
    (t.folder / "output.log").write_text(done.stdout)
    lines = [line for line in done.stdout.splitlines()
             if not re.match(r"make(\[\d+\])?: |tools/lab |  [A-Z]+ ", line)]
    t.check(done.returncode != 0, "the status is 0")
    t.equal(len(lines), t.args.get("lines", 1), f"lines ({lines})")
    t.check(re.search(t.args["why"], lines[-1]), f"refused with {lines[-1]!r}")
    t.check(not (t.folder / "out.cpio").exists(), "an archive was made")


def pack(name):
    return ["tools/lab", f"{{folder}}/{name}", "{folder}/out.cpio"]


# What is built is taken as it is: other tests use it meanwhile.
MAKE = ["make", "-o", "all", "-o", "guests"]

MISSING = one().replace("hello.elf", "nobody.elf")
TOOLS = [
    ("a_lab_file_that_is_not_there", dict(
        command=pack("missing.dts"), why=r"^lab: \S+/missing.dts: no such file$"
    )),
    ("a_lab_that_names_an_image_that_is_not_there", dict(
        command=pack("lab.dts"), files={"lab.dts": MISSING},
        why=r'^lab: \S+: \S*guests/a: kernel: no file "baremetal/nobody.elf"')),
    ("a_lab_with_an_error_of_syntax", dict(
        command=pack("lab.dts"), lines=3,
        files={"lab.dts": one().replace("memory =", "memory ")},
        why=r"^lab: \S+/lab.dts: dtc found the errors above$")),
    ("a_lab_that_names_a_guest_twice", dict(
        command=pack("lab.dts"), files={"lab.dts": lab(HELLO, HELLO)},
        lines=3, why=r"^lab: \S+/lab.dts: dtc found the errors above$")),
    ("a_place_for_the_archive_that_is_a_folder", dict(
        command=["tools/lab", "guests/labs/hello.dts", "{folder}"],
        why=r"^lab: \S+: Is a directory$")),
    ("to_run_a_lab_that_is_not_there", dict(
        command=MAKE + ["LAB=missing.dts", "run"],
        why=r"^lab: missing.dts: no such file$")),
    ("to_pack_a_lab_that_is_not_there", dict(
        command=MAKE + ["LAB=missing.dts", "OUT={folder}/out.cpio", "lab"],
        why=r"^lab: missing.dts: no such file$")),
    ("to_run_on_no_hart", dict(
        command=MAKE + ["SMP=0", "run"],
        why=r"^run: SMP=0: expected a number of harts$")),
    ("to_run_on_some_harts", dict(
        command=MAKE + ["SMP=some", "run"],
        why=r"^run: SMP=some: expected a number of harts$")),
    ("memory_of_more_digits_than_a_shell_reads", dict(
        command=MAKE + ["MEM=99999999999999999999G", "run"],
        why=r"^run: MEM=9+G: expected a size such as 512M or 2G$")),
]


def tests(full):
    cases = [Case(f"rouse_refuses_{name}", machine, timeout=60, why=why,
                  options=options) for name, options, why in MACHINES]
    cases += [Case(f"rouse_refuses_a_lab_with_{name}", machine, timeout=60,
                   why=why, options={"lab": text}, log=r"^\[.*error: a: rtc at "
                   r"0x100000 overlaps finisher$") for name, text, why in LABS]
    cases += [Case(f"rouse_refuses_{name}", archive, timeout=60, make=make,
                   why=why) for name, make, why in ARCHIVES]
    cases += [Case(f"the_tools_refuse_{name}", command, timeout=120, **args)
              for name, args in TOOLS]
    return cases
