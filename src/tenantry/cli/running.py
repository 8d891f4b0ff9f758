"""``tenantry tenants run``: a command for each tenant, its lines told apart, its exit codes counted."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Annotated, Any, Final

import typer
from rich.console import Console

from tenantry.cli.applying import catalog_of
from tenantry.cli.choosing import tenants_where
from tenantry.cli.fleeting_showing import Plain, print_line
from tenantry.cli.fleeting_telling import INTERRUPTED, NOT_DONE, counted
from tenantry.cli.showing import print_table, say
from tenantry.errors import ConfigurationError
from tenantry.events import Step
from tenantry.fleet.outcomes import WorkState
from tenantry.types import Tenant

_EXAMPLES: Final = """
Examples:

tenantry tenants run -- python import_prices.py prices.csv

tenantry tenants run --jobs 4 --where isolation=schema -- sh -c 'echo $TENANTRY_TENANT $TENANTRY_TENANT_ID'

tenantry tenants run --where setting.plan=gold --json -- ./report

The command finds the tenant's slug in TENANTRY_TENANT and its UUID in TENANTRY_TENANT_ID.

Exit codes: 0 the command ended with 0 for every tenant, 2 a mistake in what was asked, 3 it did not.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the command ended for one tenant."""

    tenant: Tenant
    code: int
    seconds: float
    out: str
    err: str

    @property
    def state(self) -> WorkState:
        """What became of it."""
        return WorkState.FAILED if self.code else WorkState.DONE


def register(app: typer.Typer) -> None:
    """Adds this command to *app*."""
    # What stands behind the command's name is the command's, be it an option.
    app.command("run", epilog=_EXAMPLES, context_settings={"allow_interspersed_args": False})(run)


def run(
    context: typer.Context,
    *,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND [ARG]…", help="What to run.")],
    jobs: Annotated[int, typer.Option(min=1, help="For how many tenants at a time.")] = 1,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="NAME=PATTERN",
            help="Only tenants whose slug, name, server, isolation, id, tenant or setting.NAME fits; repeatable.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a line for each tenant, and a summary as the last.")
    ] = False,
) -> None:
    """Run a command for every active tenant, with the tenant in its environment."""
    if shutil.which(command[0]) is None:
        raise ConfigurationError(what=f"There is no command {command[0]!r}.", fix="Check its name, or give its path.")
    tenants = tenants_where(catalog_of(context), where)
    crew = Crew(command, {**os.environ, **_app(context)}, whole=len(tenants), as_json=as_json)
    try:
        ended = crew.run(tenants, jobs=jobs)
    except KeyboardInterrupt:
        say("Interrupted: the commands under way were ended.")
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(_tell(ended, as_json=as_json))


class Crew:
    """Runs one command for many tenants, each line of its output behind the tenant's slug."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], *, whole: int, as_json: bool) -> None:
        self._command = command
        self._environment = environment
        self._as_json = as_json
        self._left, self._failed, self._done = whole, 0, 0
        self._progress = Plain(Console(stderr=True, highlight=False), "run")
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()

    def run(self, tenants: Sequence[Tenant], *, jobs: int) -> list[Ended]:
        """Returns how the command ended for each tenant; an interrupt ends what runs and begins nothing more."""
        with ThreadPoolExecutor(jobs, thread_name_prefix="tenantry-run") as pool:
            waiting = [pool.submit(self._run, tenant) for tenant in tenants]
            try:
                return [each.result() for each in waiting]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in tuple(self._running):
                    process.terminate()
                raise

    def _run(self, tenant: Tenant) -> Ended:
        begun = time.monotonic()
        environment = {**self._environment, "TENANTRY_TENANT": tenant.slug, "TENANTRY_TENANT_ID": str(tenant.id)}
        with subprocess.Popen(
            self._command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            self._running.add(process)
            out, err = self._listen(tenant, process)
            code = process.wait()
        self._running.discard(process)
        ended = Ended(tenant=tenant, code=code, seconds=time.monotonic() - begun, out=out, err=err)
        self._note(ended)
        return ended

    def _listen(self, tenant: Tenant, process: subprocess.Popen[str]) -> tuple[str, str]:
        errors: list[str] = []
        other = threading.Thread(target=lambda: errors.append(self._read(tenant, process.stderr, to_err=True)))
        other.start()
        out = self._read(tenant, process.stdout, to_err=False)
        other.join()
        return out, "".join(errors)

    def _read(self, tenant: Tenant, stream: IO[str] | None, *, to_err: bool) -> str:
        """Returns what a stream said, and repeats it line by line unless machines read."""
        if self._as_json:
            return stream.read() if stream else ""
        for line in stream or ():
            with self._lock:
                typer.echo(f"{tenant.slug} | {line.rstrip()}", err=to_err)
        return ""

    def _note(self, ended: Ended) -> None:
        with self._lock:
            self._left -= 1
            self._failed += ended.state is WorkState.FAILED
            self._done += ended.state is WorkState.DONE
            if self._as_json:
                print_line({"event": "tenant", **_as_data(ended)})
                return
            counts: dict[str, Any] = {"done": self._done, "failed": self._failed, "left": self._left}
            facts = {"home": ended.tenant.slug, "state": ended.state, "error": _why(ended)}
            self._progress.take(Step("run", "record", {**counts, **facts}))


def _app(context: typer.Context) -> dict[str, str]:
    # So that a `tenantry` inside the command means the same program.
    return {"TENANTRY_APP": context.obj} if context.obj else {}


def _tell(ended: Sequence[Ended], *, as_json: bool) -> int:
    failed = [each for each in ended if each.state is WorkState.FAILED]
    if as_json:
        print_line(
            {
                "event": "summary",
                "ok": not failed,
                "done": len(ended) - len(failed),
                "failed": [each.tenant.slug for each in failed],
            }
        )
    else:
        if failed:
            rows = [(each.tenant.slug, each.tenant.id, _why(each), f"{each.seconds:.1f}") for each in failed]
            print_table(["tenant", "id", "how it ended", "seconds"], rows)
        say(f"It ended well for {len(ended) - len(failed)} of {counted(len(ended), 'tenant')}.")
    return NOT_DONE if failed else 0


def _why(ended: Ended) -> str:
    return f"exit code {ended.code}" if ended.code >= 0 else f"ended by signal {-ended.code}"


def _as_data(ended: Ended) -> dict[str, Any]:
    tenant = {"tenant": ended.tenant.slug, "id": ended.tenant.id, "state": ended.state}
    return {**tenant, "code": ended.code, "seconds": ended.seconds, "out": ended.out, "err": ended.err}
