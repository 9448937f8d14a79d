"""Prints the reference of all commands from the command line's own declarations."""

from typing import Any

import typer

from sidecar.cli.app import app

_SETTINGS = "Settings"


def commands_reference() -> str:
    """Give a section a command: what it does, how it is called, its arguments and options."""
    group: Any = typer.main.get_command(app)
    sections = []
    for name, command in sorted(group.commands.items()):
        own = [p for p in command.params if not _is_setting(p) and p.name != "help"]
        usage = " ".join(["sidecar", name, *(_usage(p) for p in own if p.param_type_name == "argument")])
        lines = [f"### `{usage}`", "", _plain(command.help)]
        rows = [f"| {_names(p)} | {_plain(p.help)} |" for p in own]
        if len(own) < len([p for p in command.params if p.name != "help"]):
            rows.append(
                "| `--SETTING VALUE` | every setting of the README as a flag, but for secrets and routes |"
            )
        if rows:
            lines += ["", "| argument or option | meaning |", "|---|---|", *rows]
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


def _is_setting(param: Any) -> bool:
    return str(getattr(param, "rich_help_panel", None) or "").startswith(_SETTINGS)


def _usage(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _names(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{_usage(param)}`"
    value = "" if param.is_flag else f" {param.metavar or 'VALUE'}"
    return ", ".join(f"`{name}{value}`" for name in sorted(param.opts, reverse=True))


def _plain(text: str | None) -> str:
    return (text or "").replace("\\[", "[").replace("|", "\\|").split("\f")[0].strip()
