"""The command line: ``colorlab train | evaluate | colorize | grade | ...``."""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings

import colorlab
from colorlab.files import shown

COMMANDS = {
    "train": "train a model on scenes or on a folder of photographs",
    "evaluate": "measure models beside gray, with intervals",
    "colorize": "colour pictures with released weights",
    "download": "fetch COCO photographs, val2017 or train2017, and make a photo set of them",
    "ablate": "measure what each part of the UNet's recipe is worth",
    "grade": "rerun submitted notebooks with the lecturer's checks, and give points",
    "progress": "show which checks passed in which notebook",
}


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 some files failed, 2 wrong input."""
    parser = argparse.ArgumentParser(prog="colorlab", description=colorlab.__doc__.split("\n")[0])
    parser.add_argument("--version", action="version", version=colorlab.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    named = argv if argv is not None else sys.argv[1:]
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        # Only the command that is asked for is imported: help stays quick.
        if name in named:
            module = importlib.import_module(f"colorlab.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    args = parser.parse_args(argv)
    warnings.showwarning = _one_line
    try:
        return args.run(args)
    except (ValueError, OSError, FloatingPointError, ImportError) as error:
        _say(error)
        return 2
    except KeyboardInterrupt:
        _say("stopped; what was saved is kept")
        return 130


def _one_line(message, category, filename, lineno, file=None, line=None) -> None:
    _say(message)


def _say(what: object) -> None:
    # A file's name is in it, and may hold control characters of the terminal.
    print(f"colorlab: {shown(what, most=2000)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
