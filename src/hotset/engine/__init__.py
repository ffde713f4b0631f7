"""The process tier: slots that hold an entry or a flight, bounded, thread-safe, its hit path plain and synchronous."""
