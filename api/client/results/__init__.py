"""What the server answers, as frozen values; a file for each resource."""
