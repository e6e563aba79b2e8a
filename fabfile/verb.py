"""What makes a function a task: no short flags, one exit code per class of error, and never a traceback."""

from __future__ import annotations

import contextlib
import functools
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from fabfile.errors import BadInput, TurnoutError
from fabfile.ui.reporter import Reporter

ENV = "environment file to use, hosts/<env>.yml; default: DEPLOYMENT_ENV, else the project's"
JSON = "one JSON document, or one event per line, on standard output"
YES = "do not ask"
LOCK_WAIT = "how long to wait for another run to end, such as 10m"
HOTFIX = "begin outside the windows or within a freeze (inv windows); wants --reason and is recorded"
REASON = "why a hotfix cannot wait, on one line"
LONGEST_LINE = 200


def duration(text: str, flag: str) -> float:
    """Seconds in a flag's value such as `10m`; `0s` is allowed. Raises BadInput."""
    from fabfile.config.values import parse_duration

    if text.strip() in ("0", "0s"):
        return 0.0
    try:
        return parse_duration(text)
    except ValueError as error:
        raise BadInput(f"{flag}={text}: {error}", f"write {flag}=10m") from None


def one_line(text: str, flag: str) -> str:
    """A flag's text without the blanks around it, fit for one line of a table or a lease. Raises BadInput."""
    line = text.strip()
    if not line.isprintable():
        raise BadInput(f"{flag} holds a line break or a control character", "write it on one line, as text")
    if len(line) > LONGEST_LINE:
        raise BadInput(f"{flag} has {len(line)} characters, {LONGEST_LINE} are the most", "shorten it")
    return line


def verb(
    help: Mapping[str, str], name: str | None = None, default: bool = False
) -> Callable[[Callable[..., None]], Any]:
    """Make a task of a function whose first parameter is the Reporter. `help` explains every flag."""

    def decorate(body: Callable[..., None]) -> Any:
        @functools.wraps(body)
        def call(context: Context, *args: Any, **flags: Any) -> None:
            reporter = Reporter(as_json=bool(flags.get("json")))
            try:
                _check(body.__name__, flags)
                if context.config.run.dry:
                    raise BadInput("--dry is Invoke's own and would run for real", "inv plan shows what would happen")
                with _interruptible():
                    body(reporter, *args, **flags)
            except TurnoutError as error:
                reporter.fail(_with_log(error, reporter))
                raise Exit(code=error.code) from None
            except KeyboardInterrupt:
                reporter.fail(_code(TurnoutError("interrupted before anything was changed"), 130))
                raise Exit(code=130) from None
            except Exception as error:
                reporter.fail(_internal(error, reporter))
                raise Exit(code=1) from None
            finally:
                # Python remembers a Ctrl-C that broke off an exec(), as an imported dataclass has one, until the next
                # exec(), whoever handled it: `python -m invoke` would end by SIGINT, and not with its exit code.
                exec("")  # noqa: S102
                reporter.close()
            if reporter.exit_code:
                raise Exit(code=reporter.exit_code)

        return task(call, name=name, default=default, auto_shortflags=False, help=dict(help))

    return decorate


def _check(name: str, flags: Mapping[str, Any]) -> None:
    for flag, value in flags.items():
        if value == "--help":  # Invoke takes it for the word that the task wants
            raise BadInput(f"{name} wants a word for {flag}", f"inv --help followed by the task's name explains {name}")
        if isinstance(value, str) and value.startswith("-"):
            raise BadInput(
                f"--{flag.strip('_').replace('_', '-')} got {value!r}: a value seems to be missing",
                "write --flag=value",
            )


def _code(error: TurnoutError, code: int) -> TurnoutError:
    error.code = code
    return error


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal count as Ctrl-C; a signal that is ignored stays so."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _with_log(error: TurnoutError, reporter: Reporter) -> TurnoutError:
    """The same error, and where the traceback of the defect is that caused it, if one did."""
    cause: BaseException | None = error
    while cause is not None and isinstance(cause, TurnoutError):
        cause = cause.__cause__
    if "internal error" in error.fact and cause is not None:
        error.details = (*error.details, f"details are in {_log(cause, reporter)}")
    return error


def _log(error: BaseException, reporter: Reporter) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="turnout-", suffix=".log", delete=False) as file:
        file.write(reporter.clean("".join(traceback.format_exception(error))))
    return file.name


def _internal(error: Exception, reporter: Reporter) -> TurnoutError:
    return TurnoutError(
        f"internal error: {type(error).__name__}: {error}",
        f"look at the hosts with inv status; details are in {_log(error, reporter)}",
    )
