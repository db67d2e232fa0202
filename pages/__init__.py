"""One page a file, read from top to bottom: ask platform_core, draw with the widgets of app."""
