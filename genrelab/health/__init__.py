"""What is wrong with a store, and what mends it: a file a part of the store."""
