"""The version, in one place: setup.cfg reads it from here, without running anything. It has no imports."""

__version__ = "0.1.0"
