"""Connections one end of which is ours at least, and what our ends do. Imports the rooms named before it."""
