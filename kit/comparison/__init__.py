"""Whether two artifacts are equal, and what differs between them where they are not."""
