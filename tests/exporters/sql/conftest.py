"""Stores to test: an empty one on each database."""

from tests.postgres import database_url, server_url

__all__ = ["database_url", "server_url"]
