"""The shell: it asks the core, does what the core decided, and calls the manager."""
