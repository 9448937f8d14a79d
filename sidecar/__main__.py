"""`python -m sidecar` and the console script."""

from sidecar.cli.app import app


def main() -> None:
    """Run the command line."""
    app(prog_name="sidecar")


if __name__ == "__main__":
    main()
