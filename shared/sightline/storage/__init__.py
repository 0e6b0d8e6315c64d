"""Result buckets, by URI scheme."""
