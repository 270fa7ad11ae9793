"""Parts that all requests and replies share: problems, pagination, content negotiation, headers."""
