"""CTF 1.8: what babeltrace2 and Trace Compass open.

A folder with `metadata`, which describes, and a file of records for each CPU.
The description fits our records as they are: CTF lets one say what an event's
header looks like, so a record *is* a CTF event, and what is written in front of
each CPU's is one packet header.
"""

import struct
import uuid
from pathlib import Path

from .form import EVENTS, NOBODY, RECORD

PACKET = struct.Struct("<I16sIIQQQQQ")

HEAD = """/* CTF 1.8 */

typealias integer {{ size = 16; align = 8; signed = false; }} := u16;
typealias integer {{ size = 32; align = 8; signed = false; }} := u32;
typealias integer {{ size = 64; align = 8; signed = false; }} := u64;
typealias integer {{ size = 64; align = 8; signed = true; }} := s64;
typealias integer {{ size = 64; align = 8; signed = false; base = 16; }} := x64;
typealias integer {{ size = 8; align = 8; signed = false; }} := u8;
typealias integer {{ size = 8; align = 8; encoding = ASCII; }} := letter;

trace {{
	major = 1;
	minor = 8;
	uuid = "{uuid}";
	byte_order = le;
	packet.header := struct {{
		u32 magic;
		u8 uuid[16];
		u32 stream_id;
	}};
}};

env {{
	domain = "kernel";
	tracer_name = "rouse";
	cpus = {cpus};
}};

clock {{
	name = rouse;
	freq = {hz};
	offset_s = {offset_s};
	offset = {offset};
}};

typealias integer {{
	size = 64; align = 8; signed = false;
	map = clock.rouse.value;
}} := ticks;

enum who : u32 {{
{names}
}};

stream {{
	id = 0;
	packet.context := struct {{
		u32 cpu_id;
		ticks timestamp_begin;
		ticks timestamp_end;
		u64 content_size;
		u64 packet_size;
		u64 events_discarded;
	}};
	event.header := struct {{
		ticks timestamp;
		u16 id;
	}};
	event.context := struct {{
		u16 cpu;
		enum who vcpu;
	}};
}};
"""


def field(word, letter):
    """A word's declaration. The underscore in front, which readers take off,
    keeps it apart from CTF's own words."""
    if not word:
        return f"u64 _unused_{letter};"
    if word.endswith("_chars"):
        return f"letter _{word[:-6]}[8];"
    if word.endswith("_hex"):
        return f"x64 _{word[:-4]};"
    return f"{'s64' if word.endswith('_vtime') else 'u64'} _{word};"


def metadata(trace, ident):
    names = [f'\t"{trace.who(v)}" = {v},' for v in sorted(trace.names)]
    names.append(f'\t"-" = {NOBODY}')
    seconds, rest = divmod(trace.wall_ns, 1000000000)
    text = HEAD.format(uuid=ident, cpus=len(trace.cpus), hz=trace.hz,
                       offset_s=seconds, offset=rest * trace.hz // 1000000000,
                       names="\n".join(names))
    for e in EVENTS.values():
        text += (f"\nevent {{\n\tname = \"{e.name.lower()}\";\n"
                 f"\tid = {e.number};\n\tstream_id = 0;\n"
                 f"\tfields := struct {{ {field(e.a, 'a')} "
                 f"{field(e.b, 'b')} }};\n}};\n")
    return text


def write(trace, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    ident = uuid.uuid4()
    (folder / "metadata").write_text(metadata(trace, ident))
    for c in trace.cpus:
        # babeltrace2 refuses what it has no description of.
        rows = [r for r in c.records if r[1] in EVENTS]
        if not rows:
            continue
        bits = 8 * (PACKET.size + len(rows) * RECORD.size)
        with open(folder / f"cpu{c.cpu}", "wb") as out:
            out.write(PACKET.pack(
                0xc1fc1fc1, ident.bytes, 0, c.cpu, rows[0][0], rows[-1][0],
                bits, bits, c.lost + c.gaps))
            out.write(b"".join(RECORD.pack(*r) for r in rows))
