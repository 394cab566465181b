"""`techstack-analyze`: what the technologies, headers and cookies of a site give away."""
