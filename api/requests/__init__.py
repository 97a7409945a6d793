"""What a request holds, checked."""
