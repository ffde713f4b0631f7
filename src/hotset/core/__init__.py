"""What is decided and done, written once: coroutines that await only their ports, and pure decisions."""
