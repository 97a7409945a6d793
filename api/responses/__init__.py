"""What is answered: responses, errors, and what tasks look like."""
