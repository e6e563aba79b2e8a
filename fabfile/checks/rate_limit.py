"""Whether one client may ask as fast as it likes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.model.finding import Finding, Remedy, beside_the_point, fine, warning
from fabfile.model.observed import Observed

LIMIT = re.compile(r"^[^#\n]*\blimit_req\s+zone=", re.M)


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs the site's configuration as it lies on the host: to try it out would be an attack."""
    template = f"templates/{evidence.environment.site.template}"

    def look(seen: Observed) -> Iterator[Finding]:
        if not evidence.public:
            yield beside_the_point(seen.host, "the site has no name by which strangers come (site.server_name is _)")
        elif not seen.site:
            yield beside_the_point(seen.host, "no site is served yet")
        elif LIMIT.search(seen.site):
            yield fine(seen.host, "the site limits requests (limit_req)")
        else:
            note = f"write limit_req_zone and limit_req into {template} (unless a proxy before it limits); inv deploy"
            yield warning(seen.host, "the site has no limit_req", Remedy(note=note))

    yield from look_at(evidence.observed, evidence.environment.web_hosts, look)
