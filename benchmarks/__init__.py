"""How fast is it? Measured through the service's own doors, each figure beside a floor that was taken in the same run."""
