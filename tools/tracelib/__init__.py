"""Traces of Rouse: reading, taking, converting, asking.

    form      the format of kernel/trace.h: read a file, write one
    capture   out of the memory of a running QEMU, or of a console's log
    model     what the records mean: who ran, waited, slept, and why
    ctf       CTF 1.8, for babeltrace2 and Trace Compass
    perfetto  Perfetto's TrackEvent protobuf
    summary   the terminal
"""
