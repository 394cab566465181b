"""Processors that misbehave on demand."""
