"""Whatever breaks while a backup is taken: it is listed and restores, or it is not listed; the next one is taken."""

from __future__ import annotations

import random
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.backup_faults.conftest import Bench
from tests.e2e.project import LIMIT, Project
from tests.e2e.stored import sql
from tests.seed_option import SEED

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

PARTS = {f"dump part {number}": rf"PUT .*\.pgdump\S*partNumber={number}\b" for number in (1, 2, 3, 4)}
MOMENTS = {
    "claim": r"PUT .*claim\.json",
    **PARTS,
    "dump end": r"POST .*\.pgdump\S*uploadId=",
    "files of h1": r"PUT .*files\.h1\S*partNumber=2\b",
    "manifest": r"PUT .*manifest\.json",
}
"""Which request to the store is on its way, as a pattern of `METHOD path?query`."""
PASSING = ("500", "503", "cut", "slow", "lost")
LASTING = ("500", "503", "cut", "RequestTimeTooSkewed")
ALWAYS = 1000
NODES = {
    "store cut off": "s3",
    "database cut off": "db",
    "database without power": "db",
    "host cut off": "h1",
    "host without power": "h1",
}
NOISE = """
create table noise as
select i, (select string_agg(md5(i::text || j || random()), '') from generate_series(1, 22) j) t
from generate_series(1, 150000) i;
alter table noise owner to app
"""
MIGRATION = "set lock_timeout = '1s'; create table if not exists late (i int); alter table noise add column late int"


@dataclass(frozen=True)
class Fault:
    """What breaks, at which moment; `survived` is whether the backup must be there in spite of it, None: either."""

    what: str
    moment: str
    survived: bool | None = False

    def __str__(self) -> str:
        return f"{self.what} at {self.moment}".replace(" ", "-")


def all_faults(seed: int) -> list[Fault]:
    """Every fault there is, in a random order."""
    found = [Fault("pg_dump killed", moment) for moment in PARTS]
    # Whoever dies while the manifest is on its way has taken a backup or none.
    found += [Fault("operator killed", moment, None if moment == "manifest" else False) for moment in MOMENTS]
    found += [Fault("two at once", moment, True) for moment in ("claim", "dump part 2", "manifest")]
    found += [Fault("migration", moment, True) for moment in PARTS]
    found += [Fault("store cut off", moment) for moment in ("claim", "dump part 2", "manifest")]
    found += [Fault(f"database {how}", "dump part 1") for how in ("cut off", "without power")]
    found += [Fault(f"host {how}", "files of h1") for how in ("cut off", "without power")]
    found += [Fault(f"once {what}", moment, True) for what in PASSING for moment in ("dump part 2", "manifest")]
    found += [Fault(f"always {what}", moment) for what in LASTING for moment in ("claim", "dump end", "manifest")]
    random.Random(seed).shuffle(found)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", all_faults(metafunc.config.stash[SEED]), ids=str)


@pytest.fixture(scope="module", autouse=True)
def filled(served: Project) -> Iterator[None]:
    """150,000 rows of noise and 40 MB of files on each host: more parts of each than travel at once."""
    sql(served, NOISE)
    folder = "/var/app/small/shared/uploads"
    for host in served.lab.hosts:
        words = ("bash", "-c", f"head -c 40000000 /dev/urandom > {folder}/noise")
        served.lab.execute(host, *words, user="deploy")
    yield
    sql(served, "drop table noise; drop table if exists late")
    for host in served.lab.hosts:
        served.lab.execute(host, "rm", f"{folder}/noise")


def test_a_backup_is_whole_or_not_listed(bench: Bench, fault: Fault) -> None:
    project, before = bench.project, set(bench.listed())
    rows = int(sql(project, "select count(*) from noise"))
    code, said = attempt(bench, fault)
    mend(bench, fault)
    found = sorted(set(bench.listed()) - before)
    if fault.survived is not None:
        assert (code == 0, bool(found)) == (fault.survived, fault.survived), said
    following = int(project.inv("backup.create-db", "--json").document["number"])
    assert following > max(before | set(found), default=0)
    bad = sum(not bench.restores(number) for number in (*found, following))
    bench.count(bad=bad, lost=rows - int(sql(project, "select count(*) from noise")))


def attempt(bench: Bench, fault: Fault) -> tuple[int, str]:
    """Take a backup that meets the fault; its exit status and what it said."""
    pattern, (how, _, word) = MOMENTS[fault.moment], fault.what.partition(" ")
    runs: list[subprocess.Popen[str]] = []
    if how in ("once", "always"):
        bench.faults.add(pattern, word, 1 if how == "once" else ALWAYS)
    else:
        bench.faults.at(pattern, lambda: strike(bench, fault, runs))
    runs.append(bench.project.start("backup"))
    said = [run.communicate(timeout=LIMIT)[1] for run in runs]  # a second one is there before the first has ended
    assert bench.faults.met, f"it never came to the {fault.moment}: exit {[run.returncode for run in runs]}: {said}"
    assert "Traceback" not in "".join(said)
    assert runs[0].returncode <= 0 or "HINT" in said[0]
    assert all(run.returncode == 0 for run in runs[1:]), said
    bench.faults.clear()
    return runs[0].returncode, said[0]


def strike(bench: Bench, fault: Fault, runs: list[subprocess.Popen[str]]) -> None:
    """What happens while the request is on its way."""
    lab = bench.project.lab
    match fault.what:
        case "pg_dump killed":
            lab.execute("db", "pkill", "-KILL", "-x", "pg_dump")
        case "operator killed":
            runs[0].kill()
        case "two at once":
            runs.append(bench.project.start("backup"))
        case "migration":
            lab.execute("db", "bash", "-c", f"psql -qd app -c {shlex.quote(MIGRATION)} || true", user="postgres")
        case "store cut off":
            lab.cut("s3")
        case "database cut off" | "host cut off":
            lab.cut(NODES[fault.what], drop=True)
        case _:
            lab.kill(NODES[fault.what])


def mend(bench: Bench, fault: Fault) -> None:
    """All nodes are up and connected."""
    lab, node = bench.project.lab, NODES.get(fault.what)
    if node and fault.what.endswith("without power"):
        lab.start(node)
    elif node:
        lab.heal(node)
