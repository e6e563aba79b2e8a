"""The `migrations` section of `hosts/<environment>.yml`."""

from __future__ import annotations

from fabfile.config.section import Section
from fabfile.config.values import Duration, RelativePath


class MigrationSettings(Section):
    """Plain SQL files in the release that bring the database's schema along with it."""

    folder: RelativePath
    """Where they are in the release: `NNN_name.sql`, and `NNN_name_down.sql` to take it back."""
    lock_timeout: Duration = 5.0
    """How long a statement may wait for a lock, with everybody else behind it; tried a few times."""
    timeout: Duration = 600.0
    """How long one statement may take."""
