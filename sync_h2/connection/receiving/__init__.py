"""From the octets that come to events, on the reader thread, and the credit that goes back for them."""
