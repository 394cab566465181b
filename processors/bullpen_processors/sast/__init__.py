"""`sast-analyze`: flaws in a page's scripts and markup, found by following values from sources to sinks."""
