"""The operator: claims jobs, launches attempts, settles what their pods came to."""
