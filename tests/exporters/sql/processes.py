"""Runs pieces of a test in processes of their own, against the same database."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def start(script: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start Python on a script text; its last line on stdout is JSON. Its stdin stays open."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process: "subprocess.Popen[str]", seconds: float = 60) -> object:
    """Wait for a process and give what it printed last."""
    with process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])
