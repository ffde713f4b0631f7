"""The tiers outside the process. `base` says what the core asks of a store's client; each kind has a folder."""
