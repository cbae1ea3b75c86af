"""Labs in which memory is touched for the first time.

Memory can be touched for the first time once in a guest's life, so many rounds
need many lives, or a guest with much of it. One guest has a page more than whole
blocks of 2 MiB, which is mapped alone: a round of `fault_4k` in each life. The
other has blocks only, BLOCKS of them that nobody has touched before it does.

Where the page allocator finds a frame for the page's table depends on how many
are taken, and so on how large the hypervisor is. So the lives are in GROUPS, and
before each group but the first another guest takes some frames, one more than
the guest before it did.
"""

BLOCK_MIB, LARGE_MIB = 2, 256
# But the one of the image, and the one of the device tree.
BLOCKS = LARGE_MIB // BLOCK_MIB - 2
GROUPS = 10
ELF = "kernel=baremetal/meter.elf"


def _pad(name, frames):
    return f"guest create {name} memory={4096 + 4 * frames}K {ELF}"


def _commands(rounds, frames, first):
    if first:
        yield first
    if frames:
        yield _pad("first", frames)
    begins = {i * rounds // GROUPS for i in range(1, GROUPS)}
    pads = 0
    for life in range(rounds):
        if life in begins:
            pads += 1
            yield _pad(f"pad{pads}", pads)
        yield from ("guest start page", "guest wait page")
    for _ in range(-(-rounds // BLOCKS)):
        yield from ("guest start blocks", "guest wait blocks")
    yield "poweroff"


def lab(rounds, frames=0, first=""):
    """At least so many rounds of both rows. So many frames more are taken
    before the first (and some for the guest that has them). first: a command
    before all others."""
    boot = ",\n\t       ".join(f'"{c}"'
                               for c in _commands(rounds, frames, first))
    guests = "".join(f"""
		{name} {{
			memory = "{memory}";
			kernel = "baremetal/meter.elf";
			bootargs = "role=fault";
		}};""" for name, memory in (("page", "4100K"),
                                            ("blocks", f"{LARGE_MIB}M")))
    return ('/dts-v1/;\n/ {\n\tcompatible = "rouse,lab";\n\tseed = <1>;\n'
            f"\tboot = {boot};\n\tguests {{{guests}\n\t}};\n}};\n")
