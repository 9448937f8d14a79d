"""The command line: typer commands, results on stdout, everything else on stderr.

Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration, 3 something needed is unreachable.
"""
