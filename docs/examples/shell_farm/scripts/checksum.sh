# Prints the checksum of the data, as it is on standard input: JSON without spaces.
sha256sum | cut -d " " -f 1
