"""A module that breaks while it is imported."""

raise RuntimeError("no such library here")
