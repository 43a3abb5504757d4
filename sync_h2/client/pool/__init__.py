"""Which connection takes a request: those that are there, alternatives, other origins' ones; and what is sent again."""
