"""Requests, responses and their bodies: as callers have them, and as `Call` and `Answer`, which connections know."""
