"""Job types over recorded HTTP exchanges."""
