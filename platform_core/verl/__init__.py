"""What lathe knows of verl without importing it: settings as Hydra overrides, the command, what verl can't honour."""
