"""The `omnifuse` command."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from omnifuse import __version__
from omnifuse.cli import annotate, compare, demo, evaluate, explain, generate, init, plan, predict, prepare, quality, train
from omnifuse.core.errors import OmnifuseError

STOPPED = 130

app = typer.Typer(
    name="omnifuse",
    help="One model for every kind of data you have: prepare, train, evaluate, predict, generate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"omnifuse {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """One model for every kind of data you have: prepare, train, evaluate, predict, generate."""


VERBS = (
    init.init,
    prepare.prepare,
    plan.plan,
    train.train,
    evaluate.evaluate,
    explain.explain,
    predict.predict,
    generate.generate,
    quality.quality,
    compare.compare,
    demo.demo,
)

for verb in VERBS:
    app.command(no_args_is_help=verb is not demo.demo)(verb)

app.add_typer(annotate.app, name="annotate")


def main() -> None:
    """Run a command; a mistake of the user ends in one line and exit code 1."""
    try:
        app()
    except OmnifuseError as error:
        print(f"omnifuse: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"omnifuse: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        _stopped()
    except SystemExit as ended:
        if ended.code == STOPPED:  # Typer turns Ctrl-C into this, without a word
            _stopped()
        raise


def _stopped() -> None:
    """Say that Ctrl-C was heard, and leave at once: threads that still read may abort an orderly end of the interpreter."""
    again = {"compare": "the comparison goes on when it is started again", "quality": "it goes on when it is started again"}
    how = again.get("".join(sys.argv[1:2]), "a training goes on with --resume")
    print(f"omnifuse: stopped; {how}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(STOPPED)
