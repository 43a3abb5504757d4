"""What a client's sessions and streams add: requests, the wait for a slot, responses, pushed streams."""
