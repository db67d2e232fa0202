"""The engine `verl`: data, trainer processes, metrics and checkpoints of trainings that verl does."""
