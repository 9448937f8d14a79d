"""`python -m sidecar` and the console script."""

import sys

import typer
import typer.exceptions

from sidecar.cli.app import app
from sidecar.cli.errors import INTERRUPTED, complain, print_failure


def main() -> None:
    """Run the command line; who asks for JSON gets it for wrong usage as well."""
    if "--json" not in sys.argv[1:]:
        app(prog_name="sidecar")
    try:
        status = app(prog_name="sidecar", standalone_mode=False)
    except typer.exceptions.TyperException as error:
        status, told = error.exit_code, f"{error.format_message()}; --help shows what there is"
    except typer.Abort:
        status, told = INTERRUPTED, "interrupted"
    else:
        sys.exit(status)
    complain(told)
    print_failure(status, [told])
    sys.exit(status)


if __name__ == "__main__":
    main()
