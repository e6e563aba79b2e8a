"""nginx on a host: the rendered site and the proof that it is really served, and the maintenance answer."""

from __future__ import annotations

from fabfile.commands.shell import bind
from fabfile.model.paths import Paths
from fabfile.model.script import Script

# `nginx -t` and a reload that exit 0 prove nothing: only new workers that answer with the new generation do.
SITE = r"""
export PATH="$PATH:/usr/sbin:/sbin"
generation() { curl -s --max-time 2 "http://127.0.0.1:$status_port/generation" || true; }
serves() {
    local seen=0 left=100
    while [ "$left" -gt 0 ]; do
        if [ "$(generation)" = "$1" ]; then seen=$((seen + 1)); else seen=0; fi
        [ "$seen" -lt 5 ] || return 0
        sleep 0.05
        left=$((left - 1))
    done
    return 1
}
# A test creates the logs, and sudo passes our umask on: with a stricter one root alone could read them.
checked() { (umask 022; sudo -n /usr/sbin/nginx -t 2>&1); }
reload() { checked && sudo -n /usr/bin/systemctl reload nginx 2>&1; }
"""

INSTALL = r"""
cat > "$site.new"
if cmp -s "$site.new" "$site" && [ "$(generation)" = "$wanted" ]; then
    rm -f "$site.new"
    exit 0
fi
tested=$(checked) ||
    fail "nginx refuses the configuration that is there already; mend it first" "$tested"
sync "$site.new"
[ ! -e "$site" ] || cp -p "$site" "$site.before"
mv "$site.new" "$site"
sync "$nginx"
put_back() {
    if [ -e "$site.before" ]; then mv "$site.before" "$site"; else rm -f "$site"; fi
    sync "$nginx"
}
if ! said=$(reload); then
    put_back
    fail "nginx refuses the rendered site; the previous one was put back" "$said"
fi
if ! serves "$wanted"; then
    put_back
    reload > /dev/null || true
    fail "nginx took the reload but does not serve the new configuration; the previous one was put back" \
        "$(tail -n 5 /var/log/nginx/error.log 2>/dev/null)"
fi
rm -f "$site.before"
"""

REMOVE = r"""
[ -e "$site" ] || [ -n "$(generation)" ] || exit 0
rm -f "$site" "$site.new" "$site.before"
sync "$nginx"
said=$(reload) || fail "nginx could not be reloaded after its site was removed" "$said"
for _ in $(seq 100); do [ -n "$(generation)" ] || exit 0; sleep 0.05; done
fail "nginx still serves a site that was removed"
"""

MAINTENANCE = r"""
if [ "$on" = yes ]; then : > "$maintenance"; else rm -f "$maintenance"; fi
sync "$nginx"
"""


def install_site(paths: Paths, text: str, generation: str, status_port: int) -> Script:
    """Put the rendered site in place, reload, and wait for new workers; whatever fails, the previous site is back."""
    body = bind(INSTALL, site=paths.site, nginx=paths.nginx, wanted=generation, status_port=status_port)
    return Script(body, timeout=60, mutates=True, stdin=text.encode(), library=SITE)


def remove_site(paths: Paths, status_port: int) -> Script:
    """Take the site away again, as it was before the first deploy."""
    body = bind(REMOVE, site=paths.site, nginx=paths.nginx, status_port=status_port)
    return Script(body, timeout=60, mutates=True, library=SITE)


def maintenance(paths: Paths, on: bool) -> Script:
    """Answer everything with 503 and Retry-After, or stop doing so."""
    body = bind(MAINTENANCE, maintenance=paths.maintenance, nginx=paths.nginx, on="yes" if on else "no")
    return Script(body, timeout=15, mutates=True)
