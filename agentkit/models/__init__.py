"""Models: what writes (generators), what embeds (encoders), and how their weights are found."""
