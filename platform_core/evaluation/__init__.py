"""How well a model answers: numbers with their uncertainty."""
