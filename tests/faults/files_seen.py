"""What happens to the files of some folders, as the kernel tells it (inotify): how often each was made and opened."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType

OPENED, MADE, ARRIVED = 0x20, 0x100, 0x80  # IN_OPEN, IN_CREATE, IN_MOVED_TO
CLOSED = 0x10  # IN_CLOSE_NOWRITE: between two opens, since the kernel takes two of the same in a row for one
HEAD = struct.Struct("iIII")  # watch, what, cookie, length of the name
LOST = 0x4000  # IN_Q_OVERFLOW


class Seen:
    """Counts from its beginning to its end. A folder that is renamed meanwhile is watched on."""

    def __init__(self, *folders: Path) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.handle = self.libc.inotify_init1(0)
        assert self.handle >= 0, os.strerror(ctypes.get_errno())
        for folder in folders:
            watch = self.libc.inotify_add_watch(self.handle, os.fsencode(folder), OPENED | MADE | ARRIVED | CLOSED)
            assert watch >= 0, os.strerror(ctypes.get_errno())
        self.opened, self.made, self.arrived = Counter[str](), Counter[str](), Counter[str]()
        self.lost, self.over = False, threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Seen:
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.over.set()
        self.thread.join(timeout=30)
        os.close(self.handle)
        assert not self.lost, "more happened than the kernel kept"

    def _read(self) -> None:
        while True:
            if not select.select([self.handle], [], [], 0.2)[0]:
                if self.over.is_set():
                    return
                continue
            said, at = os.read(self.handle, 1 << 16), 0
            while at < len(said):
                _, what, _, length = HEAD.unpack_from(said, at)
                name = os.fsdecode(said[at + HEAD.size : at + HEAD.size + length].rstrip(b"\0"))
                at += HEAD.size + length
                self.lost |= bool(what & LOST)
                for flag, counter in ((OPENED, self.opened), (MADE, self.made), (ARRIVED, self.arrived)):
                    if what & flag:
                        counter[name] += 1
