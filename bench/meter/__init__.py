"""The meter: instructions an operation takes (docs/meter.md)."""
