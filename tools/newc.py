"""Writes cpio archives in the "newc" format, the same bytes every time.

One entry is a header of 110 characters ("070701" and 13 numbers of 8 hex
digits), the name with its closing 0, and the data, the last two each padded to
a multiple of 4. An entry named TRAILER!!! ends the archive. Times and owners
are 0, so that equal input gives an equal archive.
"""

import os
import stat

FILE_BYTES_MAX = 0xffffffff


class Archive:
    def __init__(self, out):
        self.out = out
        self.inode = 0
        self.bytes = 0

    def _write(self, data):
        self.out.write(data)
        self.bytes += len(data)

    def _pad(self):
        self._write(b"\0" * (-self.bytes % 4))

    def add(self, name, mode, data=b""):
        """Adds one entry; mode has its type bits (stat.S_IFREG, ...)."""
        self.inode += 1
        coded = os.fsencode(name) + b"\0"
        numbers = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                   len(coded), 0]
        self._write(b"070701" + b"".join(b"%08X" % n for n in numbers))
        self._write(coded)
        self._pad()
        self._write(data)
        self._pad()

    def file(self, name, data, mode=0o644):
        self.add(name, stat.S_IFREG | mode, data)

    def folder(self, name):
        self.add(name, stat.S_IFDIR | 0o755)

    def symlink(self, name, target):
        self.add(name, stat.S_IFLNK | 0o777, target.encode())

    def close(self):
        self.inode = -1
        self.add("TRAILER!!!", 0)
        # Whole blocks, as cpio itself writes them.
        self._write(b"\0" * (-self.bytes % 512))
