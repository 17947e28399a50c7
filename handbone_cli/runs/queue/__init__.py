"""The experiment queue: what a QUEUE.toml asks for, what became of it, and who runs it."""
