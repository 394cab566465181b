"""Syntax trees into the value-flow graph. Walks use explicit work lists: nesting is the attacker's choice."""
