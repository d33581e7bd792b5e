"""What both worlds of a soak do, written once."""
