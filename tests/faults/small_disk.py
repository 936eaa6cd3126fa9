"""A disk that is full or read only, for real.

Where this user may mount: a file system of its own in memory (tmpfs) of a few MB. Elsewhere a limit on what one file
may hold (RLIMIT_FSIZE): the system then refuses to write as it does on a full disk, though with another number.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.faults.forked import Ground, Started


class SmallDisk:
    """`store` lies on it."""

    def __init__(self, folder: Path, n_bytes: int) -> None:
        folder.mkdir(parents=True)
        self.folder, self.store, self.limit = folder, folder / "store", n_bytes
        said = self._mount("-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(folder))
        self.mounted = said.returncode == 0
        self.store.mkdir()

    def _mount(self, *words: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(["mount", *words], capture_output=True, text=True)
        except FileNotFoundError:
            return subprocess.CompletedProcess(words, 127)

    def __enter__(self) -> SmallDisk:
        return self

    def __exit__(self, *_: object) -> None:
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def start(self, ground: Ground, *words: object) -> Started:
        """A run on it."""
        limit = None if self.mounted or not self.limit else self.limit
        return ground.start(*words, f"store={self.store}", file_bytes=limit)

    def grow(self) -> None:
        """Makes room."""
        self.limit = 0
        if self.mounted:
            self._changed("size=1g")

    def close(self) -> None:
        """Nothing can be written from here on."""
        self._changed("ro")

    def open(self) -> None:
        self._changed("rw")

    def _changed(self, option: str) -> None:
        said = self._mount("-o", f"remount,{option}", str(self.folder))
        assert said.returncode == 0, said.stderr
