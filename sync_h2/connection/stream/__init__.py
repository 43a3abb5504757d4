"""A stream as callers hold it, whatever its role: reading, writing, ending."""
