"""Output that nobody hears stops nothing, and secrets are in none of it."""

from __future__ import annotations

import io
import json

from fabfile.engine.events import Counted, Note, StepDone, StepFailed, StepStarted, UndoStarted
from fabfile.errors import BadInput
from fabfile.model.hidden import HIDDEN
from fabfile.ui.reporter import Reporter


class Deaf(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_closed_terminal_stops_nothing() -> None:
    reporter = Reporter(as_json=True, out=Deaf(), err=Deaf())
    for event in (StepStarted("a", "b", ("h1",)), StepDone("a", 1.0), StepFailed("a", "b", 1.0), UndoStarted("c")):
        reporter.emit(event)
    reporter.answer("text", {})
    reporter.fail(BadInput("fact", "hint"))
    assert reporter.exit_code == 0


def test_a_secret_is_hidden_in_text_and_in_json_however_it_is_written() -> None:
    secret = 'p"ss\\wörd\u20ac'
    out, err = io.StringIO(), io.StringIO()
    reporter = Reporter(as_json=True, out=out, err=err)
    reporter.hide([secret, ""])
    reporter.emit(Note(f"the password is {secret}"))
    reporter.answer(secret, {"list": [secret, 1, None, True], secret: {"deep": f"x{secret}y"}})
    reporter.fail(BadInput(f"bad {secret}", details=[secret]))
    for text in (out.getvalue(), err.getvalue()):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
        assert HIDDEN in text
    documents = [json.loads(line) for line in out.getvalue().splitlines()]
    assert documents[1] == {"list": [HIDDEN, 1, None, True], HIDDEN: {"deep": f"x{HIDDEN}y"}}


def test_a_secret_is_hidden_as_a_url_or_base64_would_have_it() -> None:
    err = io.StringIO()
    reporter = Reporter(err=err)
    reporter.hide(["p/ss wörd=1"])
    for form in ("p%2Fss%20w%C3%B6rd%3D1", "p/ss%20w%C3%B6rd%3D1", "cC9zcyB3w7ZyZD0x"):
        reporter.say(f"answer: <{form}>")
        assert form not in err.getvalue()


def test_a_short_value_does_not_garble_a_document() -> None:
    out = io.StringIO()
    reporter = Reporter(as_json=True, out=out, err=io.StringIO())
    reporter.hide(["1", "tru"])
    reporter.answer("", {"ok": True, "count": 11})
    assert json.loads(out.getvalue()) == {"ok": True, "count": 11}


def test_text_goes_to_people_and_documents_to_programs() -> None:
    out, err = io.StringIO(), io.StringIO()
    plain = Reporter(out=out, err=err)
    plain.table(("A", "LONGER"), [["1", "2"], ["333", "4"]], {}, "empty")
    assert out.getvalue() == "A    LONGER\n1    2\n333  4\n"
    plain.emit(StepDone("start", 1.25))
    assert "start     done in 1.2 s" in err.getvalue()
    plain.emit(Counted({"public.items": 3, "public.notes": 4}))
    assert "counted: 7 rows in 2 tables, each as in the backup" in err.getvalue()


def test_an_error_is_said_with_its_details_and_its_hint() -> None:
    err = io.StringIO()
    Reporter(out=io.StringIO(), err=err).fail(BadInput("h1: no such file", "inv build", ["a detail"]))
    assert err.getvalue() == "error: h1: no such file\n  a detail\nHINT: inv build\n"
