"""Windows: not there yet. ``platforms.current()`` says so."""
