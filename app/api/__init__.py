"""What the server offers over plain HTTP."""
