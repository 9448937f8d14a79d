"""Prints the OpenAPI document: `python -m sidecar.api > docs/openapi.json`."""

import sys

from sidecar.api.openapi import printed

if __name__ == "__main__":
    sys.stdout.buffer.write(printed())
