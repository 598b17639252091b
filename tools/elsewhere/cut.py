#!/usr/bin/env python3
"""Shuts an ext4 file system down as a power cut would: cut.py MOUNTPOINT LOST

LOST is a file that is written just before, and not synced: the control. What was not synced is gone after the next mount; every later write fails. Needs root.
"""

import fcntl
import os
import struct
import sys

# EXT4_IOC_SHUTDOWN of linux/ext4.h (include/uapi since 6.11): _IOR('X', 125, __u32).
SHUTDOWN = 0x8004587D
# EXT4_GOING_FLAGS_NOLOGFLUSH: the journal's pages in memory are dropped, too.
NOTHING_FLUSHED = 2

mountpoint, lost = sys.argv[1:]
folder = os.open(mountpoint, os.O_RDONLY)
with open(lost, "w", encoding="utf-8") as file:
    file.write("not synced\n")
fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", NOTHING_FLUSHED))
