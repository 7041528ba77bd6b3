"""What other offices' programs read and write: one module a format."""
