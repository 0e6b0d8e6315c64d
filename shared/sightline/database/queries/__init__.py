"""What is asked of the tables and written into them."""
