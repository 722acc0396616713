"""The version of this distribution, for scopes."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("ai-usage-instrumentation")
except PackageNotFoundError:  # run from a source tree that was never installed
    VERSION = "0"
