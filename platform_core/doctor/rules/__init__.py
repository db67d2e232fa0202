"""One rule of the doctor a file; each declares `RULE`."""
