"""The steps by which a database came to its present schema; never edited after release."""
