"""Job types that carry SPARQL."""
