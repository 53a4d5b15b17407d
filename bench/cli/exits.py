"""How every command ends: one line and an exit code for a user's mistake, never a traceback."""

from __future__ import annotations

import sys

import typer

from bench.errors import INTERRUPTED, NOT_COMPARABLE, USAGE, NotComparableError, UsageError
from bench.files import disk_error, line_of
from jsma.errors import ContractError, EncoderError, EvidenceRefusedError
from jsma.slides import SlideError

# typer brings its own copy of click from 0.27 on, and the two have unrelated exceptions: take the one that it raises
UsageMistake: type[Exception] = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")  # pyright: ignore


def ended(app: typer.Typer) -> int:
    """Run the command line of this process through `app`; the exit code, with its one line on stderr."""
    try:
        code = app(standalone_mode=False)
    except UsageMistake as error:
        error.show()  # pyright: ignore[reportAttributeAccessIssue]
        return USAGE
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except NotComparableError as error:
        print(f"not comparable: {error}", file=sys.stderr)
        return NOT_COMPARABLE
    except (UsageError, SlideError, EncoderError, ContractError, EvidenceRefusedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        reason = disk_error(error)
        if reason is None:
            raise
        print(f"error: {line_of(error, reason, {})}", file=sys.stderr)
        return USAGE
    if code == INTERRUPTED:
        print("interrupted; what is complete is kept: run the same command again to go on", file=sys.stderr)
    return code or 0
