"""What the processes of this machine and of all hosts on it show while something runs: their arguments and, on hosts,
their environments; and the files that come and go in the operator's temporary folder."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAUSE = 0.005
"""Seconds between two looks; a look itself takes about as long."""
LARGEST = 4 << 20
"""Bytes of a temporary file that are read."""


class Watch:
    """Looks again and again, from a thread of its own; a host's processes are processes of this machine, too."""

    def __init__(self, temporary: Path) -> None:
        self.looks = 0
        self.seen: dict[bytes, str] = {}
        """What was shown, and by whom first."""
        self._temporary = temporary
        self._known: set[tuple[str, bytes]] = set()
        self._files: set[tuple[str, int]] = set()
        self._here = Path("/proc/self/ns/pid").readlink()
        self._over = threading.Event()
        self.lost: BaseException | None = None
        """What ended it before its time."""

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._look()
                self.looks += 1
                time.sleep(PAUSE)
        except BaseException as error:
            self.lost = error

    def stop(self) -> None:
        self._over.set()

    def _look(self) -> None:
        for pid in filter(str.isdigit, (path.name for path in Path("/proc").iterdir())):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                self._look_at(pid)
        for folder, _, names in os.walk(self._temporary):  # passes over folders that go while it looks
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(OSError):
                    self._look_into(path)

    def _look_into(self, path: Path) -> None:
        about = path.stat()
        key = (str(path), about.st_mtime_ns)
        if stat.S_ISREG(about.st_mode) and key not in self._files and about.st_size <= LARGEST:
            self._files.add(key)
            self.seen.setdefault(path.read_bytes(), f"the temporary file {path.name}")

    def _look_at(self, pid: str) -> None:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        if (pid, arguments) in self._known:
            return
        self._known.add((pid, arguments))
        program = arguments.split(b"\0")[0].decode(errors="replace")
        self.seen.setdefault(arguments, f"the arguments of {program}")
        # The operator's own processes have variables that name secrets; on a host none has.
        if Path(f"/proc/{pid}/ns/pid").readlink() != self._here:
            self.seen.setdefault(Path(f"/proc/{pid}/environ").read_bytes(), f"the environment of {program}")


@contextmanager
def watching(temporary: Path) -> Iterator[Watch]:
    """Watch for as long as the block lasts."""
    watch = Watch(temporary)
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()
    if watch.lost:
        raise watch.lost
