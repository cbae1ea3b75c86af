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
LAB = """/dts-v1/;
/ {
	compatible = "rouse,lab";
	poweroff = "when-done";
	seed = <1>;
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


def qemu(machine, memory, kernel, initrd=None, append=""):
    return ["qemu-system-riscv64", "-M", machine, "-cpu", "rv64,v=on",
            "-smp", "1", "-m", memory, "-display", "none", "-serial", "stdio",
            "-monitor", "none", "-no-reboot",
            "-bios", BUILD / "opensbi" / "fw_jump.bin",
            "-kernel", kernel, *(["-initrd", initrd] if initrd else []),
            *(["-append", append] if append else []), *ICOUNT]


def ticks(text, what):
    found = re.search(rf"{what}: began at tick (\d+)", text)
    if not found:
        raise MeterError(f"{what} never said when it began:\n{text[-1500:]}")
    return int(found[1])


def inside(machine, properties, append):
    FOLDER.mkdir(parents=True, exist_ok=True)
    source, packed = FOLDER / "lab.dts", FOLDER / "lab.cpio"
    source.write_text(LAB % properties)
    run([TOP / "tools" / "lab", source, packed])
    return run(qemu(machine, "1G", BUILD / "rouse.bin", packed, append))


def measure(key="virt", append=""):
    """(ticks natively, ticks under Rouse), each from kernel to init."""
    machine = MACHINES[key]
    FOLDER.mkdir(parents=True, exist_ok=True)
    initrd = initramfs()
    flat = BUILD / "guests" / "baremetal" / "meter.bin"
    outside = ticks(run(qemu(machine, "256M", LINUX / "Image", initrd,
                             KERNEL_ARGS)), "init") - \
        ticks(run(qemu(machine, "256M", flat, None, "role=none")), "meter")
    linux = ticks(inside(machine, f"""kernel = "linux/Image";
			initrd = "{initrd}";
			bootargs = "{KERNEL_ARGS}";""", append), "init")
    begun = ticks(inside(machine, """kernel = "baremetal/meter.elf";
			bootargs = "role=none";""", append), "meter")
    # A guest's time begins with the guest; its images are in place by then.
    return outside, linux - begun
