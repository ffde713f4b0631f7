"""What an entry is, what it is called, and when it is hidden."""
