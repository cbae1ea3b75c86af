"""How long Linux takes to its init, in virtual time, inside and outside.

One hart and `-icount shift=0`: an instruction is a nanosecond and waiting takes
what it takes, so the ratio is exact and repeatable. Kernel and initramfs are
the Debian guest's, with an /init of our own (init.S), which reads the time CSR
as its first instruction. Outside it is measured twice: as the machine is, and
with a device tree of which all is taken that a guest's has not, so that the
kernel looks for the same devices. What comes before the kernel (the firmware; for
Rouse nothing, since a guest's time begins with the guest) is measured with the
payload, which says when it began, and taken off.
"""

import gzip
import re
import statistics
import subprocess
import sys

from .guard import ICOUNT
from .images import MeterError
from .machine import BUILD, CPU, HERE, MACHINES, TOP, slow
from .table import column, key

import results

sys.path.insert(0, str(TOP / "tools"))
from newc import Archive  # noqa: E402

TITLE = "Linux to its init"
QUESTION = ("How long does Debian's Linux take from its first instruction to "
            "the first one of its /init, without a hypervisor and as a guest, "
            "on one hart on which an instruction takes a nanosecond? Each seed "
            "is another layout of the kernel; what counts is the medians' "
            "ratio. It may be below 1: the machine has a PCI host, virtio "
            "slots, flash and more for the kernel to look at, and a guest has "
            "not. So it is measured without a hypervisor a second time, with "
            "a device tree that has a guest's devices alone.")
TARGET, PEER = 1.05, 1.57
COLUMNS = [
    key("machine"),
    {"name": "seed", "unit": "", "title": "seed", "role": "seed"},
    column("native", "s", "without a hypervisor", noise_percent=1),
    column("inside", "s", "as a guest", better="less", noise_percent=1),
    column("ratio", "", "as a guest / without", better="less", noise=0.01),
    column("alike", "s", "without, and with a guest's devices alone",
           noise_percent=1),
    column("alike_ratio", "", "as a guest / that", better="less", noise=0.01),
]
# What a guest's tree has by these names, and what stands for it on machines that
# have no PLIC.
KEPT = {
    "": ("aliases", "chosen", "cpus", "memory", "poweroff", "reboot", "soc"),
    "/soc": ("aplic", "imsics", "interrupt-controller", "plic", "rtc",
             "serial", "test"),
}

FOLDER = BUILD / "meter" / "linux"
LINUX = BUILD / "guests" / "linux"
# A kernel that panics is to end the machine, not to hang.
KERNEL_ARGS = "console=ttyS0 quiet panic=-1"
# The kernel's layout and its timers' phases are random, and move the figure by
# some per cent.
SEEDS = (1, 2, 3, 4, 5)
LAB = """/dts-v1/;
/ {
	compatible = "rouse,lab";
	poweroff = "when-done";
	seed = <%d>;
	guests {
		linux {
			memory = "256M";
			%s
			autostart;
		};
	};
};
"""


def run(command):
    try:
        done = subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=170 * slow())
    except subprocess.TimeoutExpired as late:
        raise MeterError(f"no end after {late.timeout} s: "
                         f"{' '.join(map(str, command))}") from None
    text = done.stdout.decode(errors="replace").replace("\r", "")
    if done.returncode:
        raise MeterError(f"{command[0]} ended with status {done.returncode}:\n"
                         f"{text[-1500:]}")
    return text


def initramfs():
    """The small initramfs, with our /init behind it: the last one counts."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    elf = FOLDER / "init"
    run(["riscv64-unknown-elf-gcc", "-march=rv64imac", "-mabi=lp64",
         "-Wa,-march=rv64imac_zicsr", "-nostdlib", "-nostartfiles", "-static",
         "-Wl,--build-id=none,--no-relax", HERE / "init.S", "-o", elf])
    out = FOLDER / "initrd"
    first = gzip.decompress((LINUX / "initrd-small.gz").read_bytes())
    with open(out, "wb") as stream:
        stream.write(first + b"\0" * (-len(first) % 512))
        archive = Archive(stream)
        archive.file("init", elf.read_bytes(), 0o755)
        archive.close()
    return out


def qemu(machine, memory, kernel, initrd=None, append="", seed=1):
    return ["qemu-system-riscv64", "-M", machine, "-cpu", CPU,
            "-smp", "1", "-seed", str(seed), "-rtc", "base=2026-01-01,clock=vm",
            "-m", memory, "-display", "none", "-serial", "stdio",
            "-monitor", "none", "-no-reboot",
            "-bios", BUILD / "opensbi" / "fw_jump.bin",
            "-kernel", kernel, *(["-initrd", initrd] if initrd else []),
            *(["-append", append] if append else []), *ICOUNT]


def alike(machine, *rest):
    """The same, with a device tree that has but what a guest's has."""
    kernel, seed = rest[1], rest[-1]
    tree = FOLDER / f"{machine.replace(',', '-')}-{kernel.stem}-{seed}.dtb"
    run(qemu(f"{machine},dumpdtb={tree}", *rest))
    for folder, kept in KEPT.items():
        for node in run(["fdtget", "-l", tree, folder or "/"]).split():
            if node.partition("@")[0] not in kept:
                run(["fdtput", "-r", tree, f"{folder}/{node}"])
    return [*qemu(machine, *rest), "-dtb", tree]


def ticks(text, what):
    found = re.search(rf"{what}: began at tick (\d+)", text)
    if not found:
        raise MeterError(f"{what} never said when it began:\n{text[-1500:]}")
    return int(found[1])


def inside(machine, properties, append, seed=1):
    # Several may run at a time.
    folder = FOLDER / f"{machine}-{seed}-{'linux' in properties}"
    folder.mkdir(parents=True, exist_ok=True)
    source, packed = folder / "lab.dts", folder / "lab.cpio"
    source.write_text(LAB % (seed, properties))
    run([TOP / "tools" / "lab", source, packed])
    try:
        text = run(qemu(machine, "1G", BUILD / "rouse.bin", packed, append,
                        seed))
    finally:
        packed.unlink()
    results.note_ran(results.Machine(machine, 1, 0, CPU, "1G", append,
                                     results.told_policy(text),
                                     results.guest_packages(properties)))
    return text


def before(key="virt", append=""):
    """What comes before the kernel, in ticks, in the order of `one`."""
    machine = MACHINES[key]
    flat = BUILD / "guests" / "baremetal" / "meter.bin"
    options = machine, "256M", flat, None, "role=none", 1
    native, lean = run(qemu(*options)), run(alike(*options))
    # A guest's time begins with the guest; its images are in place by then.
    guest = inside(machine, """kernel = "baremetal/meter.elf";
			bootargs = "role=none";""", append)
    return [ticks(text, "meter") for text in (native, guest, lean)]


def one(key, append, seed, initrd, offsets):
    """Ticks from kernel to init, of one seed: [natively, under Rouse, natively
    with a guest's devices alone]."""
    machine = MACHINES[key]
    results.note_ran(results.Machine(machine, 1, 0, CPU, "256M", KERNEL_ARGS,
                                     "", results.guest_packages(
                                         "linux/Image")))
    options = machine, "256M", LINUX / "Image", initrd, KERNEL_ARGS, seed
    native, lean = run(qemu(*options)), run(alike(*options))
    guest = inside(machine, f"""kernel = "linux/Image";
			initrd = "{initrd}";
			bootargs = "{KERNEL_ARGS}";""", append, seed)
    return [ticks(text, "init") - offset
            for text, offset in zip((native, guest, lean), offsets)]


def line_of(key, seed, native, guest, lean):
    """A row of the result."""
    return [MACHINES[key], seed, native / 1e7, guest / 1e7,
            round(guest / native, 5), lean / 1e7, round(guest / lean, 5)]


def medians(runs):
    """Of what `one` gave for each seed, in the same order."""
    return [statistics.median(some) for some in zip(*runs)]
