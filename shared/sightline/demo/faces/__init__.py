"""A generator of schematic faces with several label sets (mask, gender, age) and several images a person."""
