"""What of the kit has two faces, written once."""
