"""Free bytes, where they can be seen."""

from __future__ import annotations

import os
from pathlib import Path

from fabfile.commands import disk
from fabfile.remote.local import LocalHost


def test_free_bytes_are_those_of_the_disk_and_unknown_where_there_is_none(tmp_path: Path) -> None:
    host = LocalHost()
    found = disk.parse_free(host.run(disk.free(str(tmp_path))).stdout)
    stat = os.statvfs(tmp_path)
    assert found is not None
    assert abs(found - stat.f_bavail * stat.f_frsize) < 1 << 30
    assert disk.parse_free(host.run(disk.free(str(tmp_path / "absent"))).stdout) is None
