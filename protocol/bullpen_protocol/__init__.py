"""What operator and runner share: BullMQ's data structures and the assignment of an attempt."""
