"""The command line: finds the subcommand, turns typed errors into one report and an exit code.

`python -m simcore scenario.yaml` is short for `python -m simcore run scenario.yaml`: a first
word that is no command is taken for a scenario. Each subcommand lives in the module of its
name and is imported only when it is asked for, so that `--help` answers at once.
"""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from simcore.cli.pipes import outlive_readers
from simcore.errors import ExitCode, ScenarioError, SimcoreError
from simcore.stopping import signals

COMMANDS = (
    "run",
    "validate",
    "schema",
    "new",
    "verify",
    "compare",
    "trace",
    "report",
    "figures",
    "export",
    "timeline",
    "trials",
    "placement",
    "calibrate",
    "contract",
    "doctor",
    "clean",
)

_DEFECT = 70
"""EX_SOFTWARE of sysexits.h."""

EPILOG = """\b
Exit codes:
  0    the run completed and every expectation held
  1    an expectation failed, runs that should be equal differ, or a rule is broken
  2    the scenario, an option or an input is invalid; nothing was started
  3    a model, a service or a participant failed during the run
  4    results could not be written (disk full, not writable, occupied)
  70   a defect of simcore itself
  130  stopped by Ctrl-C        143  stopped by SIGTERM
"""


class Commands(click.Group):
    """A group whose default command is `run`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"simcore.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take a first word that is no command for a scenario."""
        if args and args[0] not in COMMANDS:
            _refuse_misspelt(args[0])
            args = ["run", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take a first option that is not the group's for one of `run`."""
        # `python -m simcore --seed 2 scenario.yaml`: options of `run` may come first too.
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def _refuse_misspelt(word: str) -> None:
    """A word that is nearly a command is not taken for a scenario that does not exist."""
    close = difflib.get_close_matches(word, COMMANDS, n=1)
    if close and not Path(word).suffix and not Path(word).exists():
        raise click.UsageError(f"there is no command {word!r} (did you mean {close[0]!r}?)")


def report_error(error: SimcoreError) -> None:
    """Write an error to standard error, one block, nothing else."""
    if isinstance(error, ScenarioError):
        for problem in error.problems:
            click.echo(str(problem), err=True)
        count = len(error.problems)
        click.echo(f"{count} problem{'s' if count != 1 else ''}; nothing was started", err=True)
    else:
        click.echo(f"simcore: {error}", err=True)


@click.group(
    cls=Commands,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="simcore", prog_name="simcore")
def cli() -> None:
    """Run device-edge-cloud experiments on one exact virtual clock.

    `python -m simcore SCENARIO.yaml` runs a scenario; the commands below check it, look at
    its results, and repeat it.
    """


def main(argv: list[str] | None = None) -> Any:
    """Run the command line; exits the process with the documented code."""
    outlive_readers()
    try:
        code = _invoke(argv)
    except SimcoreError as error:
        report_error(error)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = ExitCode.INVALID
    except Exception:  # noqa: BLE001 - whatever it is, it is to be told apart from "runs differ"
        traceback.print_exc()
        click.echo(
            "simcore: this is a defect of simcore; please report it with the above", err=True
        )
        code = _DEFECT
    sys.exit(int(code or 0))


def _invoke(argv: list[str] | None) -> Any:
    def say(line: str) -> None:
        click.echo(line, err=True)

    with signals(say) as stopping:
        try:
            code = cli.main(args=argv, prog_name="python -m simcore", standalone_mode=False)
        except (click.Abort, KeyboardInterrupt):  # the first is what click makes of the second
            stopping.over = True
            raise KeyboardInterrupt from None
        stopping.over = code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED)
        return code
