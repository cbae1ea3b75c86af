"""The machine starts, whatever it is made of: any number of harts with any
ids, any memory, each kind of doorbell and timer. What it refuses is in
refusals.py."""

import re
import shlex
import subprocess

from faults import board_blob, pack
from harness import CPU, HANGS_S, SLOW, TOP, Case
from matrix import HOSTS
from labs import guest, lab, said

PLIC, ACLINT, AIA = (HOSTS[h][0] for h in ("plic", "aclint", "aia"))


def no_lab(t):
    m = t.boot(smp=t.args["smp"], mem="256M")
    status = m.wait()
    t.check(status != 0, "QEMU's status is 0, and nothing was run")
    t.check("initrd" in m.text.split("Boot HART")[-1],
            "no word of the missing initrd on the console")


def hello_everywhere(t):
    """A guest with as many vCPUs as there are harts, each of them there."""
    n = t.args["smp"]
    m = t.boot(lab=lab(guest("hello", "hello", vcpus=n), poweroff=True),
               smp=n, mem="256M", append=t.args.get("append", ""))
    m.expect(rf"cpus: {n} of {n} harts, boot hart \d+\n")
    m.expect(said("hello", rf"hello: hart \d+ of {n}, "))
    m.expect(said("hello", rf"hello: hart {n - 1} is here\n"))
    t.equal(m.wait(), 0, "QEMU's status")


def tree_of(t, packed, smp, machine, options=()):
    """The machine's own device tree, as a file to be changed."""
    tree = t.folder / "board.dtb"
    tree.write_bytes(board_blob(t, packed, machine, smp, options))
    return tree


def disable(tree, harts):
    for hart in harts:
        subprocess.run(["fdtput", "-t", "s", tree, f"/cpus/cpu@{hart}",
                        "status", "disabled"], check=True)


def sparse_harts(t):
    """A board on which some harts are not for us, its first one too."""
    n, absent = t.args["smp"], t.args["absent"]
    # A vCPU for each hart that is left, and one of them bound to the last.
    left = n - len(absent)
    packed = pack(t, guest("hello", "hello", vcpus=left,
                           pin=list(range(left))))
    board = t.args["machine"]
    tree = tree_of(t, packed, n, board)
    disable(tree, absent)
    m = t.boot(initrd=packed, smp=n, mem="256M",
               machine=board, options=["-dtb", str(tree)])
    boot = int(m.expect(rf"cpus: {left} of {left} harts, boot hart (\d+)\n")
               .group(1))
    t.check(boot not in absent, f"booted on hart {boot}, which is disabled")
    m.expect(rf"scheduler: \w+ on {left} CPUs")
    m.expect(said("hello", rf"hello: hart {left - 1} is here\n"))
    t.equal(m.wait(), 0, "QEMU's status")


def second_socket(t):
    """One hart, whose interrupt file is in the second group: QEMU has a group
    for each socket, with numbers for four harts. Or to which the UART's
    controller isn't wired, since each socket has its own."""
    smp, board = "6,sockets=2,cores=3", t.args["machine"]
    options = nodes(128, ("0-2", "3-5"))
    packed = pack(t, guest("hello", "hello", autostart=False))
    tree = tree_of(t, packed, smp, board, options)
    disable(tree, (0, 1, 2, 4, 5))
    m = t.boot(initrd=packed, smp=smp, mem="256M", machine=board,
               options=[*options, "-dtb", str(tree)])
    m.expect(r"cpus: 1 of 1 harts, boot hart 3\n")
    m.expect("^rouse> ")
    m.line("guest start hello")
    m.expect(said("hello", "hello: bye"))
    m.line("poweroff")
    t.equal(m.wait(), 0, "QEMU's status")


def blocks_that_differ(t):
    """Harts whose cache blocks are of two sizes: guests aren't told of any,
    and their RAM is zeroed all the same."""
    packed = pack(t, guest("toucher", "toucher", vcpus=2))
    tree = tree_of(t, packed, 2, "virt")
    subprocess.run(["fdtput", "-t", "i", tree, "/cpus/cpu@1",
                    "riscv,cboz-block-size", "4096"], check=True)
    m = t.boot(initrd=packed, smp=2, mem="256M",
               options=["-dtb", str(tree)])
    m.expect(said("toucher", r"toucher: ok\n"), 120)
    t.equal(m.wait(), 0, "QEMU's status")
    # The firmware tells of its hart, too.
    told = m.text.partition("isa: guests see")[2]
    t.check("zicbom" in told and "zicboz" not in told, told[:400])


def memory_of_any_size(t):
    """Nearly all of it is there for a guest."""
    mib = t.args["mib"]
    m = t.boot(lab=lab(guest("hello", "hello", memory=f"{mib - 32}M"),
                       poweroff=True),
               mem=f"{mib}M", options=t.args.get("options", ()))
    free, total = map(int, m.expect(r"memory: (\d+) MiB free of (\d+)\n")
                      .groups())
    t.check(mib - 8 <= free <= total <= mib, f"{free} of {total} MiB are free, "
            f"of {mib}")
    m.expect(said("hello", rf"hello: RAM at 0x80000000, {(mib - 32) << 10} KiB"))
    t.equal(m.wait(), 0, "QEMU's status")


def nodes(each_mib, harts):
    """Options for NUMA nodes, one for each of these lists of harts."""
    options = []
    for node, cpus in enumerate(harts):
        options += ["-object",
                    f"memory-backend-ram,id=m{node},size={each_mib}M", "-numa",
                    f"node,nodeid={node},memdev=m{node},cpus={cpus}"]
    return options


def memory_in_two_nodes(t):
    """A guest that is larger than each, populated at once and written to."""
    half = t.args["mib"] // 2
    options = nodes(half, (0, 1))
    m = t.boot(lab=lab(guest("big", "toucher", memory=f"{half + 32}M",
                             populate="eager", vcpus=2), poweroff=True),
               mem=f"{2 * half}M", options=options)
    free = int(m.expect(r"memory: (\d+) MiB free of \d+\n").group(1))
    t.check(free >= 2 * half - 8, f"{free} MiB are free, of {2 * half}")
    m.expect(said("big", r"toucher: ok\n"), 120)
    t.equal(m.wait(), 0, "QEMU's status")


def forced(t):
    """What was asked for is used, and guests that depend on it work: IPIs
    and sleep across harts, and timers."""
    want = t.args["want"]
    m = t.boot(lab=lab(guest("pingpong", "pingpong", vcpus=2, pin=[0, 1],
                             bootargs="rounds=500"),
                       guest("tick", "tick", vcpus=2, bootargs="seconds=1"),
                       poweroff=True),
               mem="256M", machine=t.args["machine"], append=t.args["append"],
               cpu=t.args.get("cpu", CPU))
    m.expect("host: .*" + want)
    m.expect_all([said("pingpong", r"pingpong: 2 harts, 500 rounds, 0 fail"),
                  said("tick", r"tick: ok\n")])
    t.equal(m.wait(), 0, "QEMU's status")
    wide = [line for line in re.findall(r"^\[ *\d+\.\d{6}\] .*$", m.text, re.M)
            if len(line) > 80]
    t.equal(wide, [], "lines of the log that are wider than a terminal")


def vmid_bits(t):
    """Guests in the same guest-physical pages, on too few tags for all."""
    names = ("one", "two", "three")
    bits = t.args["bits"]
    m = t.boot(lab=lab(*[guest(n, "toucher", vcpus=2, slice_us=1000,
                               bootargs=f"seed={i + 1} passes=3")
                         for i, n in enumerate(names)], poweroff=True),
               mem="256M", append=f"vmid-bits={bits}",
               smp=t.args["smp"])
    m.expect(rf"G-stage up to \w+, {bits} VMID bits\n")
    m.expect_all([said(n, r"toucher: ok\n") for n in names], 120)
    t.equal(m.wait(), 0, "QEMU's status")


def judged(t):
    """The exits that have a short way (trap.S, quick.c), and the same by the
    tables: a guest that tests its machine sees no difference."""
    name = t.args["guest"]
    m = t.boot(lab=lab(guest(name, name, vcpus=4), poweroff=True),
               mem="256M", append=t.args["append"])
    m.expect(said(name, r"[1-9]\d* passed, 0 failed\n"), HANGS_S)
    t.equal(m.wait(), 0, "QEMU's status")


def readme(t):
    """The README's lab, started by the README's command, in real life."""
    text = (TOP / "README.md").read_text()
    source = re.search(r"^(/dts-v1/;\n.*?\n)```$", text, re.M | re.S).group(1)
    t.check("ms=20000" in source, "the lab works for some other time")
    (t.folder / "my.dts").write_text(source.replace("ms=20000", "ms=300"))
    packed = t.folder / "packed.cpio"
    subprocess.run([TOP / "tools" / "lab", t.folder / "my.dts", packed],
                   check=True, stdout=subprocess.DEVNULL)
    command = re.search(r"^qemu-system-riscv64 (?:.*\\\n)*.*$", text, re.M)
    words = shlex.split(command.group(0).replace("\\\n", " "))
    t.check("lab.cpio" in words, f"no lab.cpio in the README's {words}")
    words = [str(packed) if word == "lab.cpio" else word for word in words]
    done = subprocess.run(words, cwd=TOP, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=HANGS_S * SLOW)
    (t.folder / "console.log").write_text(done.stdout)
    for name in ("heavy", "light"):
        t.check(re.search(rf"\[{name}\] shares: mode hog done", done.stdout),
                f"{name} did not end well")
    t.equal(done.returncode, 0, "QEMU's status")


def starts_anew(t):
    """`reboot` at the console starts the whole machine again."""
    m = t.boot(lab=lab(guest("hello", "hello", autostart=False)), mem="256M",
               smp=4)
    for _ in range(2):
        m.expect(r"cpus: 4 of 4 harts, boot hart \d+\n")
        m.expect(r"^rouse> ")
        m.line("guest start hello")
        m.expect(said("hello", "hello: bye"))
        m.line("reboot")
    m.expect(r"cpus: 4 of 4 harts")
    m.expect(r"^rouse> ")
    m.line("poweroff 7")
    t.equal(m.wait(), 7, "QEMU's status")


FORCED = [
    ("doorbell=imsic", AIA, "doorbell imsic, "),
    ("doorbell=sbi", AIA, "doorbell sbi, .*interrupts aplic-imsic"),
    ("doorbell=sswi", ACLINT, "doorbell sswi, "),
    ("doorbell=sbi", ACLINT, "doorbell sbi, "),
    ("doorbell=sbi", PLIC, "doorbell sbi, "),
    ("timer=sbi", PLIC, "timer sbi, "),
    ("timer=sstc", PLIC, "timer sstc, "),
    ("", "virt,aia=aplic", "doorbell sbi, .*interrupts aplic\n"),
    ("", "virt,aia=aplic,aclint=on", "doorbell sswi, .*interrupts aplic\n"),
]


def tests(full):
    cases = [Case(f"a_machine_without_a_lab_is_refused_on_{n}_harts", no_lab,
                  timeout=60, smp=n)
             for n in ((1, 2, 4, 8, 16) if full else (16,))]
    cases += [Case(f"hello_on_{n}_harts", hello_everywhere, timeout=120, smp=n)
              for n in (1, 2, 3, 4, 8, 16)]
    cases += [Case(f"hart_ids_with_holes_work,{host}", sparse_harts,
                   timeout=60, smp=4, absent=(0, 2), machine=HOSTS[host][0])
              for host in ("plic", "aclint", "aia")]
    cases += [Case(f"what_is_typed_comes_to_the_second_socket,{machine}",
                   second_socket, timeout=60, machine=machine)
              for machine in (PLIC, "virt,aia=aplic", AIA)]
    cases += [Case("cache_blocks_of_two_sizes_are_not_used", blocks_that_differ,
                   timeout=60)]
    cases += [Case(f"{mib}_MiB_of_memory_are_all_there", memory_of_any_size,
                   timeout=60, mib=mib)
              for mib in ((128, 256, 512, 1024, 2048, 3072, 4096) if full
                          else (128, 256, 4096))]
    cases += [Case("memory_of_two_nodes_is_one_guest's", memory_in_two_nodes,
                   timeout=180, mib=1024 if full else 256)]
    cases += [Case(f"{append or 'the_best'}_is_used,{machine}", forced,
                   timeout=120, append=append, machine=machine, want=want)
              for append, machine, want in FORCED]
    cases += [Case(f"guests_are_kept_apart_with_{bits}_vmid_bits_on_"
                   f"{harts}_harts", vmid_bits, bits=bits,
                   smp=harts)
              for bits in (range(15) if full else (0, 1, 14))
              for harts in ((1, 2, 4) if full else (2,))]
    cases += [Case(f"{name}_is_content_with_quick_{word}", judged,
                   guest=name, append=append)
              for name in ("sbitest", "devtest", "archtest")
              for word, append in ((("on", ""), ("off", "quick=off")) if full
                                   else (("off", "quick=off"),))]
    cases += [Case(f"{name}_is_content_without_htinst", judged, guest=name,
                   append="htinst=off")
              for name in ("archtest", "devtest")]
    cases += [Case("the_readme's_lab_and_command_work", readme),
              Case("reboot_starts_the_machine_anew", starts_anew, timeout=120)]
    return cases
