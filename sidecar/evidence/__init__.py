"""The evidence bundle: one file that proves what was decided about a number, checked without its sidecar.

archive    the container: a ZIP in one canonical form, so that no byte of it is without meaning
contents   the files in it, and how each line is written and read
gather     takes them from the store
recount    answers what a replay asks, from a bundle's facts alone
verify     checks a bundle and replays its decisions
"""
