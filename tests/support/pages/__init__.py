"""Pages of the documentation: README.md and docs/. Their code blocks are found, and run as a reader would run them."""
