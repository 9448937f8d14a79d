"""The evidence bundle: one file that proves what was decided about a number, checked without its sidecar.

archive    the container: a ZIP in one canonical form, so that no byte of it is without meaning
contents   the files in it, and how each line is written and read
forms      those of its files that are one value
standing   what the decisions of a range stand on
gather     takes all of it from the store
opened     takes a bundle apart: form, digests, every line
recount    answers what a replay asks, from a bundle's facts alone
doubts     what the content says against itself
told_settings  the same of its settings
verify     checks a bundle, replays its decisions, and gives the verdict
"""
