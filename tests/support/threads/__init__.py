"""Calls on threads of their own, and threads that are held up, counted or interrupted. Imports no other room."""
