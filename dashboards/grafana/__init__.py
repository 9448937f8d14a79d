"""Grafana boards as code: builders beside the JSON they make."""
