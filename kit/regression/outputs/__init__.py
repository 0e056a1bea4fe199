"""What a notebook's cells put out: how it is read, recorded, and compared, a module for each kind of output."""
