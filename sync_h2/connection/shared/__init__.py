"""What all parts of a session share: the lock, waiting for what it guards, listeners, and the state of a stream."""
