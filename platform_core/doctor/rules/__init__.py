"""One rule a file, found by listing the modules that declare `RULE`."""
