"""OntoWeb-PT's vocabulary and IRIs, shared by its five job types."""
