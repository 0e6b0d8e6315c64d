"""Using a trained model: which file a name means, which images are meant, and where the predictions go."""
