"""What the operator of a workspace sets for everybody: prices, where alerts are sent."""
