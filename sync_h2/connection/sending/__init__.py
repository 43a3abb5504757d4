"""From what callers post to the kernel: whose turn it is, frames, the socket, and the writer thread."""
