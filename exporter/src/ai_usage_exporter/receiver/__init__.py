"""The OTLP receiver: two thin transports around one export."""
