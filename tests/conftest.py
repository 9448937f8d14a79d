"""What tests of several rooms share."""

from tests.postgres import database_url, server_url

__all__ = ["database_url", "server_url"]
"""Here and nowhere else: imported twice, the first of the two to end would stop the server of both."""
