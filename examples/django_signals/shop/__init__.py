"""A shop of one model."""
