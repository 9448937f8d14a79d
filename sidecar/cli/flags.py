"""Turns the settings into command-line flags, so that a setting exists in one place only."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from sidecar.settings import Option, options

Command = TypeVar("Command", bound=Callable[..., Any])

_NOT_FLAGS = frozenset({"routes", "webhook_secret", "admin_token", "pseudonym_key"})
"""Secrets never stand on a command line, where every user of the machine can read them."""


def with_settings(command: Command) -> Command:
    """Give a command one flag a setting; it receives those given as the mapping `flags`.

    The command's own parameters come first and stay as they are.
    """
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "flags"]
    settings = [option for option in options() if option.name not in _NOT_FLAGS]

    def run(**given: Any) -> Any:
        mine = {parameter.name: given.pop(parameter.name) for parameter in own}
        return command(**mine, flags=given)

    flags = [_flag(option) for option in settings]
    run.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined] # typer reads it
    run.__annotations__ = {p.name: p.annotation for p in [*own, *flags]}
    run.__doc__ = command.__doc__
    run.__name__ = getattr(command, "__name__", "command")
    return run  # type: ignore[return-value] # same call for typer


def _flag(option: Option) -> inspect.Parameter:
    default = "" if option.default is None else f" \\[default: {option.default}]"
    bounds = f" ({option.bounds.replace('`', '')})" if option.bounds else ""
    about = typer.Option(
        f"--{option.name.replace('_', '-')}",
        help=f"{option.meaning}{bounds}{default}",
        show_default=False,
        metavar="VALUE",
        rich_help_panel="Settings (also SIDECAR_* and the TOML file)",
    )
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, about],
    )
