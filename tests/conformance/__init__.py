"""A conformance suite for OTLP trace receivers; ``python -m tests.conformance --help``."""
