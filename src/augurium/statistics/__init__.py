"""Statistics of model inputs and answers: pure functions of numbers."""
