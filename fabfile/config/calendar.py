"""The section `calendar`: when deploys may begin, when they must not, and what is announced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field

from fabfile.config.section import Section
from fabfile.config.values import PlainText
from fabfile.model.calendar import Calendar, Maintenance, parse_freeze, parse_maintenance, parse_window, parse_zone


def _reads(parse: Callable[[str, str], object]) -> AfterValidator:
    """Text that `parse` understands, kept as it is: the zone that it means without naming one is another key."""

    def check(text: str) -> str:
        parse(text, "UTC")
        return text

    return AfterValidator(check)


class MaintenanceSettings(Section):
    """A time at which the team works on the system."""

    at: Annotated[PlainText, _reads(parse_maintenance)]
    """When: as a window, every week, or once, such as `5 Dec 2026 22:00-23:30 Europe/Berlin`."""
    what: Annotated[PlainText, Field(min_length=1, max_length=500)]
    """What users are told about it."""


class CalendarSettings(Section):
    """When deploys and migrations may begin and must not, and what is announced. Rollbacks are always possible."""

    timezone: Annotated[PlainText, AfterValidator(parse_zone)] = "UTC"
    """The time zone of everything below that names none."""
    windows: tuple[Annotated[PlainText, _reads(parse_window)], ...] = ()
    """Hours in which deploys may begin, such as `Tue 10:00-12:00 America/New_York`; without any, at any time."""
    freezes: tuple[Annotated[PlainText, _reads(parse_freeze)], ...] = ()
    """Days, each year or with years once, on which none may, such as `20 Dec - 2 Jan`."""
    maintenance: tuple[MaintenanceSettings, ...] = ()
    """What `inv windows.announce` tells the channels of `notify` a week, a day and an hour ahead."""

    @property
    def parsed(self) -> Calendar:
        """The same as values that know their time zones."""
        return Calendar(
            tuple(parse_window(text, self.timezone) for text in self.windows),
            tuple(parse_freeze(text, self.timezone) for text in self.freezes),
            tuple(Maintenance(parse_maintenance(each.at, self.timezone), each.what) for each in self.maintenance),
        )
