"""All that can be asked of the service, once for both clients; a file for each resource."""
