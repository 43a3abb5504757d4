"""The threads that handlers run on. Knows jobs and the keys that they belong to, neither streams nor sessions."""
