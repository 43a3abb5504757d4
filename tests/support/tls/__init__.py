"""A certificate authority and its certificates. Imports no other room."""
