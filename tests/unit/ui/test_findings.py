"""Findings as people read them, and as programs do."""

from __future__ import annotations

import json

from fabfile.model.finding import as_root, beside_the_point, critical, fine, unseen
from fabfile.ui.findings import findings_document, findings_text, is_green

FOUND = {
    "login": (fine("h1", "well"), fine("h2", "well")),
    "sudo": (critical("h1", "a rule lacks", as_root("h1", "visudo")), unseen("h2", "no answer")),
    "tls": (beside_the_point("", "the site has no TLS"),),
}
TEXT = """\
ok              login  h1 h2  well
critical        sudo   h1     a rule lacks
                -> as root on h1: visudo
could not look  sudo   h2     no answer
not applicable  tls           the site has no TLS
not all green: 2 ok, 1 critical, 1 not applicable, 1 could not look"""


def test_hosts_that_are_the_same_share_a_line_and_a_remedy_stands_below() -> None:
    assert findings_text(FOUND) == TEXT


def test_the_document_has_every_finding_by_itself() -> None:
    document = json.loads(json.dumps(findings_document("demo", FOUND)))
    assert (document["environment"], document["green"], len(document["findings"])) == ("demo", False, 5)
    assert document["counts"]["critical"] == 1
    assert document["findings"][2] == {
        "check": "sudo",
        "where": "h1",
        "verdict": "critical",
        "seen": "a rule lacks",
        "remedy": {"command": "visudo", "on": "h1", "user": "root", "note": ""},
    }


def test_green_is_where_nothing_is_to_be_done_and_everything_was_seen() -> None:
    assert is_green({"login": FOUND["login"], "tls": FOUND["tls"]})
    assert not is_green({"sudo": FOUND["sudo"][1:]})
    assert findings_text({"login": FOUND["login"]}).endswith("all green: 2 ok")
