"""A machine that fails: no memory at one moment or another, images that are
damaged, harts that don't come, come late, or stand still, doorbells that are
late, come twice, or come from nobody.

Memory is made to fail by Rouse itself (`fail=`, `fault alloc`). Harts and
doorbells are failed from outside, through QEMU's gdb stub (stub.py): nothing in
Rouse takes part in that.
"""

import errno
import gzip
import random
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import matrix
from harness import GUESTS, TOP, Case
from labs import Shell, guest, lab, pages, said
from stub import Gone, Stub

TICK = dict(vcpus=2, bootargs="seconds=0")
ACLINT = "virt,aclint=on"
AIA = "virt,aia=aplic-imsic"


# --- memory -----------------------------------------------------------------

LEAVE = "\x1d"                  # Ctrl-]

# Commands, each of whose allocations fails once; what undoes them; harts, if not
# two.
SWEEPS = [
    ("a_guest_is_made_and_runs",
     "guest create x memory=4M kernel=hello.gz vcpus=2 pin=0,1; "
     "guest start x; guest wait x",
     "guest stop x; guest wait x; guest destroy x", {}),
    ("a_guest_is_made_with_a_tree_of_its_own",
     "guest create x memory=4M populate=eager kernel=hello.gz dtb=x.dtb; "
     "guest start x; guest wait x",
     "guest stop x; guest wait x; guest destroy x", {}),
    ("policies_and_knobs_change",
     "".join(f"sched set {p}; set a weight=300 pin=1; " for p in
             matrix.sharing()) + f"sched set {matrix.default()}; set a "
     "weight=256", "set a pin=0", {}),
    ("things_are_listed", "guest list; vcpu list -j; sched cpus; log 2; stats",
     "mem", {}),
    ("a_guest_starts_anew",
     "guest reset other; guest pause other; guest resume other; sleep 0.02; "
     "guest reset other", "guest resume other", {}),
    ("a_guest_reboots",
     "guest start again; sleep 0.1; guest stop again", "guest stop again", {}),
    ("a_trace_is_begun",
     "trace on sched,call size=16; trace mask call; trace status; trace off",
     "trace off", {}),
]
# What a full run tries besides.
MORE_SWEEPS = [
    ("a_trace_is_dumped", "trace on call size=4; trace off; trace dump; mem",
     "trace off", {}),
    ("a_trace_is_dumped_as_objects",
     "trace on call size=4 -j; trace off -j; trace dump -j; mem -j",
     "trace off", {}),
    ("top_is_shown", "top 0.02 2; top -j 0.02 1; top 0.02 1", "mem", {}),
    ("a_console_is_attached", "console other; guest list; console other",
     "mem", {}),
    ("registers_are_read",
     "vcpu regs other:0 other:1; vcpu regs -j other:0; vcpu pin other:0 1",
     "vcpu pin other:0 none", {}),
    ("images_change",
     "set a kernel=hello.gz bootargs=exit=0; set a bootargs= dtb=x.dtb; "
     "guest start a; guest wait a",
     "guest stop a; guest wait a; set a bootargs= dtb=x.dtb", {}),
    ("waits_are_counted",
     "stats on; stats clear; stats -j; stats off; watch other; watch off; "
     "sched params; sched list; set other; help; help stats; screen 1000",
     "stats off; watch off", {}),
    *(("a_policy_without_room_for_more_comes_and_goes",
       f"sched set {p}; set a weight=300 pin=1; guest create x memory=4M "
       f"kernel=hello.gz; guest start x; guest wait x; guest destroy x; "
       f"sched set {matrix.default()}",
       f"guest stop x; guest wait x; guest destroy x; set a pin=0; "
       f"sched set {matrix.default()}", {"smp": 4})
      for p in matrix.policies() if p not in matrix.sharing()),
]
ATTACHED = r"^\[rouse: console of "
TRIED = r'^(?:\{"type":"fault_alloc","left":(\d+)|rouse: no memory to run this)'


# A guest's own tree: what's in it is corrected, the rest is not our business.
TREE = """/dts-v1/;
/ {
    #address-cells = <2>;
    #size-cells = <2>;
    compatible = "a,board";
    model = "of its own";
    chosen { };
    cpus { #address-cells = <1>; #size-cells = <0>; };
    memory@80000000 { device_type = "memory"; reg = <0 0 0 0>; };
};
"""


def sweep(t):
    """The n-th allocation fails, for each n; then the undoing, and memory is
    as it was. No guest that was created is the worse for it. What was typed is
    remembered, so an equally long line grows it equally: by how much is seen in
    rounds in which nothing is done."""
    image = (GUESTS / "baremetal" / "hello.bin").read_bytes()
    (t.folder / "hello.gz").write_bytes(gzip.compress(image))
    tree_write(t, TREE, "x.dtb")
    m = t.boot(lab=lab(guest("a", kernel="hello.gz", memory="16M", dtb="x.dtb",
                             autostart=False),
                       guest("again", "hello", autostart=False,
                             bootargs="reboot=1"),
                       guest("other", "tick", **TICK)), mem="256M",
               smp=t.args.get("smp", 2))
    m.expect("rouse> ")
    shell = Shell(m)
    shell.quiet()
    shell.count = 1000          # so that all lines are equally long

    def round_of(n, command=t.args["command"], undo=t.args["undo"]):
        before = shell.json("mem")[0]
        start = m.seen
        m.line(f"fault alloc {n:04}; {command}; fault alloc -j")
        found = m.expect(f"{TRIED}|{ATTACHED}")
        while re.match(ATTACHED, found.group(0)):
            m.send(LEAVE)
            found = m.expect(f"{TRIED}|{ATTACHED}")
        left = found.group(1)
        m.line("fault alloc 0000")
        shell.run(undo)
        after = shell.json("mem")[0]
        grown = {k: after[k] - before[k] for k in before
                 if k.endswith("_bytes")}
        return int(left or 0), grown["object_bytes"], m.text[start:m.seen]

    for _ in range(2):
        round_of(9999)          # what is made once and kept
    first = shell.json("mem")[0]
    blank = [" " * len(t.args[k]) for k in ("command", "undo")]
    usual = [round_of(9999, *blank)[1] for _ in range(3)][-1]
    t.equal(round_of(9999)[1], usual, "growth if nothing fails")
    n, left, failed = 0, 0, 0
    while not left:
        n += 1
        t.check(n < 500, "there is no end of allocations")
        left, grown, text = round_of(n)
        # Less, if it was the line's own place among those remembered.
        t.check(grown <= usual, f"allocation {n} fails: {grown} bytes are "
                f"gone, {usual} if none does")
        lines = re.findall(r"^.*\b(?:no memory|not enough host memory|"
                           r"MiB wanted)\b.*$", text, re.M)
        failed += bool(lines)
        t.check(len(lines) <= 1, f"allocation {n} fails: it is said {lines}")
        t.check(not re.search("can't (?:go on|be started)", text),
                f"allocation {n} fails: a guest pays for it")
    t.check(n > 10 and failed > n // 2, f"{failed} of {n} failed")
    last = shell.json("mem")[0]
    t.equal(pages(last), pages(first), "bytes that are no object's")
    # And all is well without failures.
    shell.run("watch all")
    round_of(0)
    t.equal(shell.guests()["other"]["state"], "running", "the other guest")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def can_not_be_mapped(t):
    """The guest touches a page, and there is nothing to map it with: which
    can't be, so it's made so from outside. What trapped is told."""
    stub = Stub(t)
    m = t.boot(lab=lab(guest("v", "hello", autostart=False),
                       guest("other", "hello", autostart=False)),
               smp=1, mem="256M", options=stub.options)
    m.expect("rouse> ")
    stub.attach()
    m.line("guest start v")
    stub.answer(stub.run_until("gmem_fault"), -errno.ENOMEM)
    stub.run_all()
    pc, at, cause, stval, htval = (int(n, 16) for n in m.expect(
        r"error: v: vCPU 0 can't go on at pc 0x(\w+): address 0x(\w+) can't be "
        r"mapped \(scause 0x(\w+), stval 0x(\w+), htval 0x(\w+)\)\n").groups())
    # Its first instruction can't be fetched; htval is without the last bits.
    t.equal((cause, stval, htval << 2), (20, pc, at), "scause, stval, htval")
    m.expect(r"error: v:   no trace was on\n")
    m.expect(r"v: crashed, status 1\n")
    m.line("guest start other")
    m.expect(said("other", "hello: bye"))
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def boot_without_memory(t):
    """Either it's refused in one line, or what could be started ends well."""
    n, worked, refused = 0, 0, 0
    for n in t.args["which"]:
        m = t.boot(lab=lab(guest("a", "hello"), guest("b", "hello"),
                           boot=["fault alloc -j"], poweroff=True),
                   mem="256M", append=f"fail={n}")
        status = m.wait()
        # The log's lines may come where a prompt was.
        lines = re.findall(r"(?:^rouse: |\[ *[\d.]+\] error: ).*memory.*$",
                           m.text, re.M)
        if status == 0:
            worked += 1
            t.check(not re.search("can't be started", m.text),
                    f"fail={n}: status 0, and a guest is missing")
        elif "[b]" not in m.text and "[a]" not in m.text:
            refused += 1
            t.equal(len(lines), 1, f"fail={n}: lines ({lines})")
            t.check(m.text.rstrip().endswith(lines[0]), f"fail={n}: something "
                    "comes after the refusal")
        else:
            t.equal(len(lines), 1, f"fail={n}: lines ({lines})")
            t.equal(m.text.count("hello: bye"), 1, f"fail={n}: guests")
        if re.search(r'"left":[1-9]', m.text):
            break
    t.check(refused, "no allocation's failure was refused")


# --- images -----------------------------------------------------------------


def damaged(t):
    """Images that turn out bad while they are unpacked, or before."""
    whole = gzip.compress((GUESTS / "baremetal" / "hello.bin").read_bytes())
    crc = bytearray(whole)
    crc[-6] ^= 1
    elf = bytearray((GUESTS / "baremetal" / "hello.elf").read_bytes())
    table = int.from_bytes(elf[32:40], "little")    # e_phoff; then p_paddr
    elf[table + 24:table + 32] = (1 << 40).to_bytes(8, "little")
    files = {"good.gz": whole,
             # Its last bytes say how long it is unpacked.
             "cut.gz": whole[:len(whole) // 2] + whole[-8:],
             "crc.gz": bytes(crc), "far.elf": bytes(elf),
             "huge": bytes(20 << 20)}
    for name, data in files.items():
        (t.folder / name).write_bytes(data)
    small = dict(memory="16M", autostart=False)
    m = t.boot(lab=lab(guest("good", kernel="good.gz", **small),
                       guest("cut", kernel="cut.gz", **small),
                       guest("crc", kernel="crc.gz", **small),
                       guest("big", "hello", initrd="far.elf",
                             autostart=False),
                       guest("hold", "hello", initrd="huge", memory="64M",
                             autostart=False),
                       guest("other", "tick", **TICK)), mem="256M")
    m.expect("rouse> ")
    shell = Shell(m)
    shell.run("watch good other")
    shell.count = 1000
    m.line("guest start good")
    m.expect(said("good", "hello: bye"))
    usual = None
    for name, command, why in (
            ("cut", "guest start cut", r"error: cut: can't be started: kernel:"),
            ("crc", "guest start crc", r"error: crc: can't be started: kernel:"),
            ("far", "guest create x kernel=far.elf memory=16M",
             r"guest create: x: .*outside RAM"),
            ("huge", "guest create x kernel=baremetal/hello.elf initrd=huge "
             "memory=16M", r"guest create: x: .*no room for the initrd"),
            ("missing", "guest create x kernel=nobody.elf memory=16M",
             r'guest create: x: .*no file "nobody.elf"')):
        for n in range(4):
            before = shell.json("mem")[0]["object_bytes"]
            start = m.seen
            shell.run(command)
            shell.run("guest list" + " " * 60)
            grown = shell.json("mem")[0]["object_bytes"] - before
            t.check(re.search(why, m.text[start:]), f"{name}: not said as "
                    f"{why!r}: {m.text[start:]}")
            if n == 2:
                usual = grown
        t.equal(grown, usual, f"{name}: growth of the heap")
    states = {k: g["state"] for k, g in shell.guests().items()}
    t.equal((states["cut"], states["crc"], states["other"]),
            ("stopped", "stopped", "running"), "states")
    m.line("guest start good")
    m.expect(said("good", "hello: bye"))
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


# --- harts ------------------------------------------------------------------


def cpu_of(boot, hart):
    """The boot hart is CPU 0, the others follow in order."""
    return 0 if hart == boot else hart + (hart < boot)


def board_blob(t, packed, machine, smp, options=()):
    """The machine's own device tree."""
    # A comma in a path would end it for -M.
    with tempfile.TemporaryDirectory() as place:
        dumper = t.boot(initrd=packed, smp=smp, mem="256M", options=options,
                        machine=f"{machine},dumpdtb={place}/board.dtb")
        t.equal(dumper.wait(), 0, "QEMU's status after dumpdtb")
        return Path(place, "board.dtb").read_bytes()


def board(t, packed, machine, smp):
    """The same, as source text."""
    return subprocess.run(
        ["dtc", "-q", "-I", "dtb", "-O", "dts"], check=True,
        input=board_blob(t, packed, machine, smp),
        stdout=subprocess.PIPE).stdout.decode()


def tree_write(t, text, name="board.dtb"):
    """Makes a device tree of its source text; its path."""
    tree = t.folder / name
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", tree],
                   check=True, input=text, text=True)
    return tree


def pack(t, *guests):
    source, packed = t.folder / "packed.dts", t.folder / "packed.cpio"
    source.write_text(lab(*guests, poweroff=True))
    subprocess.run([TOP / "tools" / "lab", source, packed], check=True,
                   stdout=subprocess.DEVNULL)
    return packed


def hart_that_is_not_there(t):
    """The tree has one hart more than the machine: its node says so, or two
    nodes say the same."""
    machine, hartid = t.args["machine"], t.args["hartid"]
    packed = pack(t, guest("hello", "hello", vcpus=3))
    text = board(t, packed, machine, 3)
    node = re.search(r"\t\tcpu@2 \{.*?\n\t\t\};\n", text, re.S).group(0)
    more = node.replace("cpu@2", "cpu@9").replace(
        "reg = <0x02>", f"reg = <{hartid:#x}>")
    more = re.sub(r"phandle = <0x[0-9a-f]+>;",
                  lambda _, n=iter(range(0x700, 0x800)):
                  f"phandle = <{next(n):#x}>;", more)
    tree = tree_write(t, text.replace(node, node + more))
    m = t.boot(initrd=packed, smp=3, mem="256M", machine=machine,
               options=["-dtb", str(tree)])
    m.expect(t.args["says"])
    m.expect(rf"cpus: 3 of {t.args['known']} harts, boot hart \d\n")
    m.expect(said("hello", "hello: bye"))
    t.equal(m.wait(), 0, "QEMU's status")


# What it does, where, its number, what is said of it, the harts counted.
LEFT_OUT = [
    ("does_not_come", "virt", 9, "error", " did not come up;", 4),
    # Either of them may be the boot hart.
    *((f"is_listed_twice,{hart}", "virt", hart, "warning",
       ": the device tree has two nodes for it; the second is", 3)
      for hart in (0, 1, 2)),
    ("can_not_be_rung", ACLINT, 9, "error",
     r" is not wired to the ACLINT SSWI.*;", 4),
    ("has_no_interrupt_file", AIA, 9, "error",
     r" has no S-level interrupt file.*;", 4),
]


def program_counter(m, hart):
    text = m.monitor("info registers -a")
    return int(re.findall(r"^ pc +([0-9a-f]+)", text, re.M)[hart], 16)


def hart_that_comes_late(t):
    """It's given up, and comes when guests run: it goes back to the firmware,
    which lies at the beginning of RAM."""
    stub = Stub(t, stopped=True)
    m = t.boot(lab=lab(guest("hunt", "wakehunt", vcpus=3,
                             bootargs="rounds=500 watchdog_ms=10000"),
                       boot=["guest wait hunt; fault alloc -j"]),
               smp=4, mem="256M", machine=t.args["machine"],
               options=stub.options)
    stub.attach()
    stub.run_all_but(3)
    m.expect(r"error: hart 3 did not come up; left out\n", 120)
    m.expect(r"cpus: 3 of 4 harts, boot hart \d\n")
    m.expect("rouse> ")
    stub.run_all()
    m.expect("wakehunt: ok, 0 lost", 120)
    m.expect(r'"type":"fault_alloc"')
    pc = program_counter(m, 3)
    t.check(0x80000000 <= pc < 0x80200000, f"hart 3 is at {pc:#x}, which is "
            "not the firmware")
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def hart_that_hangs_early(t):
    """It has come, and stands still before it can say that it is ready. What
    it would do when it goes on is known to nobody: Rouse doesn't go on."""
    stub = Stub(t, stopped=True)
    m = t.boot(lab=lab(guest("hello", "hello")), smp=3, mem="256M",
               options=stub.options)
    stub.attach()
    hart = stub.run_until("world_cpu_init")
    stub.run_all_but(hart)
    m.expect(rf"^rouse: hart {hart} hangs in its first instructions\n", 120)
    t.equal(m.wait(), 1, "QEMU's status")


# --- the watchdog -----------------------------------------------------------

ALARM = r"error: watchdog: CPU {} has not answered for \d+ s; CPUs:\n"
BACK = r"error: watchdog: CPU {} answers again, after \d+ s\n"


# Where the firmware can ask a silent CPU for its place in the code, by itself or
# if told to.
STALLED = [("aclint", ACLINT, ""), ("virt,sse=on", "virt", "sse=on")]


def stalled(t):
    """A CPU hangs in the hypervisor: it's named, and where it hangs. Guests
    elsewhere go on, and all of it goes on when it comes back."""
    cpu = t.args["cpu"]
    m = t.boot(lab=lab(guest("near", "tick", pin=[cpu, cpu], **TICK),
                       guest("far", "tick", pin=[2, 2], **TICK)),
               smp=4, mem="256M", machine=t.args["machine"],
               append=t.args["append"])
    m.expect("rouse> ")
    m.line(f"trace on sched; fault stall {cpu} 14")
    m.expect(ALARM.format(cpu), 120)
    for other in range(4):
        m.expect(rf"error: CPU {other}: ")
        if other == cpu:
            m.expect(r"in the hypervisor, current \S+, .*has mail")
            m.expect(r"error:   f[0-9a-f]{15} look_round\+0x")
            m.expect(r"error:   \d+\.\d{6} [A-Z_]+ .*, vCPU -?\d+\n")
    m.expect(BACK.format(cpu), 120)
    for name in ("near", "far"):
        m.expect(said(name, r"tick: \d+ s"))
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")
    t.equal(m.text.count("has not answered"), 1, "alarms")


def panics(t):
    """The usual machine, which has to be told to ask for the place."""
    m = t.boot(lab=lab(guest("far", "tick", **TICK)), smp=3, mem="256M",
               append="watchdog=panic sse=on", allow="panic:")
    m.expect("rouse> ")
    m.line("fault stall 2 100")
    m.expect(r"panic on CPU 0:\n +watchdog: CPU 2 has not answered for \d+ s",
             120)
    m.expect(r"CPU 2: in the hypervisor")
    m.expect(r"  f[0-9a-f]{15} look_round\+0x")
    t.equal(m.wait(), 1, "QEMU's status")


def stands_still(t):
    """A hart gets no time any more, or is broken, in the middle of a guest that
    has it for itself."""
    stub = Stub(t)
    m = t.boot(lab=lab(guest("hello", "hello", autostart=False),
                       guest("hog", "spin", vcpus=1, autostart=False)), smp=4,
               mem="256M", machine=t.args["machine"], options=stub.options)
    boot = int(m.expect(r"cpus: 4 of 4 harts, boot hart (\d)\n").group(1))
    m.expect("rouse> ")
    hart = t.args["hart"]
    cpu = cpu_of(boot, hart)
    m.line(f"set hog pin={cpu}; guest start hog")
    m.expect(said("hog", r"spin: \d+ s"))
    stub.attach()
    while program_counter(m, hart) >> 20 != 0x802:
        stub.run_all()
        time.sleep(0.05)
        stub.stop()
    stub.run_all_but(hart)
    m.expect(ALARM.format(cpu), 120)
    m.expect(rf"error: CPU {cpu}: in a guest, current hog/0, .*, vCPU running, "
             "has mail")
    stub.run_all()
    m.expect(BACK.format(cpu), 120)
    m.line("guest start hello")
    m.expect(said("hello", "hello: bye"))
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def no_false_alarm(t):
    """A guest that has everything masked and never leaves is no reason, and
    doesn't keep its CPU from others; neither is a machine that stands still as
    a whole for longer than an alarm takes."""
    m = t.boot(lab=lab(guest("hog", "spin", vcpus=2, slice_us=5000),
                       guest("near", "tick", **TICK)), smp=2, mem="256M")
    m.expect("rouse> ")
    Shell(m).run("watch near")
    m.expect(said("near", r"tick: \d+ s"))
    m.process.send_signal(signal.SIGSTOP)
    time.sleep(13)
    m.process.send_signal(signal.SIGCONT)
    for _ in range(3):
        m.expect(said("near", r"tick: \d+ s"), 120)
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")
    t.check("watchdog" not in m.text, "the watchdog has barked")


# --- doorbells --------------------------------------------------------------

# Where a store rings a hart: the address, the distance to the next hart's, and
# the values that mean something there.
BELLS = {
    ACLINT: (0x2f00000, 4, (1,)),                   # SETSSIP
    AIA: (0x28000000, 0x1000, (1, 2)),              # the doorbell, the UART
    "virt": (0x2000000, 4, (1,)),                   # the firmware's own
}


def ring(stub, dice, machine, harts):
    """Some doorbells, rung by nobody; how many."""
    at, step, values = BELLS[machine]
    count = dice.randrange(6)
    for _ in range(count):
        stub.write32(at + step * dice.randrange(harts), dice.choice(values))
    return count


def chaos(t):
    """Doorbells that nobody rang, and that are rung again; and each hart
    stands still now and then, so that what is meant for it comes late. No
    wake-up is lost, and nothing is done twice."""
    machine, harts = t.args["machine"], 4
    dice = random.Random(t.args["seed"])
    stub = Stub(t)
    m = t.boot(lab=lab(guest("hunt", "wakehunt", vcpus=6, slice_us=1000,
                             bootargs=f"rounds={t.args['rounds']} "
                             "watchdog_ms=10000"), poweroff=True),
               smp=harts, mem="256M", machine=machine, options=stub.options)
    m.expect(said("hunt", "wakehunt: "))
    stub.attach()
    rung = 0
    try:
        while not m.ended:
            rung += ring(stub, dice, machine, harts)
            if dice.randrange(2):
                stub.run_all_but(dice.randrange(harts))
                time.sleep(dice.uniform(0, 0.02))
            stub.run_all()
            time.sleep(dice.uniform(0, 0.02))
            stub.stop()
    except Gone:
        pass                    # the machine has powered off
    t.equal(m.wait(120), 0, "QEMU's status")
    t.check("wakehunt: ok, 0 lost" in m.text, "the hunt is not content")
    t.check(rung > 50, f"only {rung} doorbells were rung")


def tests(full):
    cases = [Case(f"memory_fails_at_each_allocation_while_{name}", sweep,
                  timeout=600, command=command, undo=undo, **more)
             for name, command, undo, more in
             SWEEPS + (MORE_SWEEPS if full else [])]
    cases += [Case("memory_fails_while_the_machine_starts",
                   boot_without_memory, timeout=1200,
                   which=range(1, 1000) if full else (1, 9, 30, 50, 70, 90))]
    cases += [Case("a_trap_that_ends_a_guest_is_told", can_not_be_mapped,
                   timeout=120)]
    cases += [Case("damaged_images_are_refused_and_others_run", damaged,
                   timeout=180)]
    cases += [Case(f"a_hart_that_{what}_is_left_out,{machine}",
                   hart_that_is_not_there, timeout=120, machine=machine,
                   hartid=hartid, known=known,
                   says=f"{level}: hart {hartid}{says} left out\n")
              for what, machine, hartid, level, says, known in LEFT_OUT]
    cases += [Case(f"a_hart_that_comes_late_is_sent_back,{machine}",
                   hart_that_comes_late, timeout=240, machine=machine)
              for machine in (("virt", ACLINT, AIA) if full else (ACLINT,))]
    cases += [Case("a_hart_that_hangs_while_it_starts_ends_the_start",
                   hart_that_hangs_early, timeout=240)]
    cases += [Case(f"a_cpu_that_stops_answering_is_named,{cpu},{name}",
                   stalled, timeout=240, cpu=cpu, machine=machine,
                   append=append)
              for name, machine, append in (STALLED if full else STALLED[:1])
              for cpu in ((0, 1) if full else (0,))]
    cases += [Case("a_cpu_that_stops_answering_is_a_panic_if_asked_for",
                   panics, timeout=240)]
    cases += [Case(f"a_hart_that_stands_still_is_named,{machine},{hart}",
                   stands_still, timeout=240, machine=machine, hart=hart)
              for machine in (("virt", ACLINT, AIA) if full else (AIA,))
              for hart in (range(4) if full else (2,))]
    cases += [Case("a_guest_that_masks_everything_or_a_stopped_machine_is_no_"
                   "alarm", no_false_alarm, timeout=240)]
    cases += [Case(f"doorbells_late_and_doubled_lose_nothing,{machine}", chaos,
                   timeout=1200, machine=machine, seed=seed,
                   rounds=20000 if full else 1000)
              for machine in BELLS for seed in range(3 if full else 1)]
    return cases
