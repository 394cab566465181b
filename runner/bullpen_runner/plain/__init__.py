"""The two containers beside a plain job's own: `fetch` before it, `watch` as long as it lives."""
