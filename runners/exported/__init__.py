"""Programs that `lathe jobs export` copies as they are: they stand alone and import nothing of ours."""
