"""What is awaited of the peer, by whom, and until when."""
