"""Ready-made managers against real servers; written once, generated for the other world."""
