"""What was published: results, selected models, champions."""
