"""A session, whatever its role: its state, what changes that, and what callers can ask of it."""
