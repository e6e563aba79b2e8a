"""Is a host as it was? What a failed run left different, in words."""

from __future__ import annotations

from fabfile.model.observed import SLOTS, Observed


def differences(before: Observed, after: Observed) -> list[str]:
    """Everything that users, processes or the next deploy would notice; empty when the host is as it was."""
    found = []

    def compare(what: str, was: object, now: object) -> None:
        if was != now:
            found.append(f"{before.host}: {what} was {was}, now {now}")

    compare("the live slot", before.live, after.live)
    compare("the division of clients", before.share or before.live, after.share or after.live)
    compare("maintenance", before.maintenance, after.maintenance)
    if before.site != after.site:
        found.append(f"{before.host}: the nginx site differs from before")
    compare("nginx's generation", before.generation, after.generation)
    for slot in SLOTS:
        compare(f"slot {slot}", before.slots[slot].release, after.slots[slot].release)
        compare(f"the process of slot {slot}", before.slots[slot].online, after.slots[slot].online)
    compare("the stored releases", set(before.releases), set(after.releases))
    return found
