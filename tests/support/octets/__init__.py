"""What is sent and received, without any connection. Imports no other room."""
