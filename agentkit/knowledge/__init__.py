"""Answering from documents: passages found by meaning, checked for an answer, quoted with their source."""
