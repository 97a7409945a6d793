"""The client of the service's HTTP interface: requests as values, sent in two ways."""
