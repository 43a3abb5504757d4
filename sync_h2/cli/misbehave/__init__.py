"""`sync-h2 misbehave`: a server that does on demand what none should."""
