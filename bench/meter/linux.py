"""How long Linux takes to its init, in virtual time, inside and outside.

One hart and `-icount shift=0`: an instruction is a nanosecond and waiting takes
what it takes, so the ratio is exact and repeatable. Kernel and initramfs are
the Debian guest's, with an /init of our own (init.S), which reads the time CSR
as its first instruction. What comes before the kernel (the firmware; for
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
from .machine import BUILD, HERE, MACHINES, TOP, slow

sys.path.insert(0, str(TOP / "tools"))
from newc import Archive  # noqa: E402

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
    return ["qemu-system-riscv64", "-M", machine, "-cpu", "rv64,v=on",
            "-smp", "1", "-seed", str(seed), "-rtc", "base=2026-01-01,clock=vm",
            "-m", memory, "-display", "none", "-serial", "stdio",
            "-monitor", "none", "-no-reboot",
            "-bios", BUILD / "opensbi" / "fw_jump.bin",
            "-kernel", kernel, *(["-initrd", initrd] if initrd else []),
            *(["-append", append] if append else []), *ICOUNT]


def ticks(text, what):
    found = re.search(rf"{what}: began at tick (\d+)", text)
    if not found:
        raise MeterError(f"{what} never said when it began:\n{text[-1500:]}")
    return int(found[1])


def inside(machine, properties, append, seed=1):
    FOLDER.mkdir(parents=True, exist_ok=True)
    source, packed = FOLDER / "lab.dts", FOLDER / "lab.cpio"
    source.write_text(LAB % (seed, properties))
    run([TOP / "tools" / "lab", source, packed])
    return run(qemu(machine, "1G", BUILD / "rouse.bin", packed, append, seed))


def measure(key="virt", append="", seeds=SEEDS):
    """(ticks natively, ticks under Rouse) from kernel to init: medians over
    the seeds."""
    machine, native, guest = MACHINES[key], [], []
    FOLDER.mkdir(parents=True, exist_ok=True)
    initrd = initramfs()
    flat = BUILD / "guests" / "baremetal" / "meter.bin"
    before = ticks(run(qemu(machine, "256M", flat, None, "role=none")), "meter")
    # A guest's time begins with the guest; its images are in place by then.
    begun = ticks(inside(machine, """kernel = "baremetal/meter.elf";
			bootargs = "role=none";""", append), "meter")
    for seed in seeds:
        native.append(ticks(run(qemu(machine, "256M", LINUX / "Image", initrd,
                                     KERNEL_ARGS, seed)), "init") - before)
        guest.append(ticks(inside(machine, f"""kernel = "linux/Image";
			initrd = "{initrd}";
			bootargs = "{KERNEL_ARGS}";""", append, seed), "init") - begun)
    return statistics.median(native), statistics.median(guest)
