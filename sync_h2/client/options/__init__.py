"""What is said about a call besides: who asks, which cookies go along, how long it may take, whom it trusts."""
