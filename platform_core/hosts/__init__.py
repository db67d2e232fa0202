"""The machines that jobs run on: their devices now and over time, who uses them, what is kept back."""
