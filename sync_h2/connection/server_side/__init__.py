"""What a server's sessions and streams add: requests become jobs of handlers, and these answer."""
