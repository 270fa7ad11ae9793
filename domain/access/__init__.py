"""Partners and access tokens: state and decisions."""
