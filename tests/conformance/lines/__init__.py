"""The checklist, one function a line; importing this registers all of them."""

from tests.conformance.lines import content, decoding, failures, operation, transports

__all__ = ["content", "decoding", "failures", "operation", "transports"]
