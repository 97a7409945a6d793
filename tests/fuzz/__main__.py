"""`make fuzz`: rounds of requests until there were 100,000; goes on where it was broken off."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from tests.fuzz.rounds import Round, play, server_in

EXAMPLES = 200
"""How many each operation gets in a round: a round takes a few minutes."""
ROUND_SECONDS = 3600


def main() -> int:
    """Play rounds, print what came of them; 1 if there is a failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="how many, at least")
    parser.add_argument("--results", type=Path, default=Path("fuzz-results"))
    arguments = parser.parse_args()
    directory = arguments.results.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    kept = directory / "rounds.json"
    rounds = [Round(**each) for each in json.loads(kept.read_text())] if kept.exists() else []
    server = server_in(directory / "server")
    try:
        server.start()
        while sum(each.requests for each in rounds) < arguments.requests:
            rounds.append(play(server, directory, len(rounds) + 1, EXAMPLES, ROUND_SECONDS))
            kept.write_text(json.dumps([asdict(each) for each in rounds], indent=1))
            print(rounds[-1], flush=True)
    finally:
        server.close()
    requests = sum(each.requests for each in rounds)
    wrong = sum(each.failures + each.errors for each in rounds)
    seconds = sum(each.seconds for each in rounds)
    print(f"{requests} requests in {len(rounds)} rounds and {seconds:.0f} s: {wrong} failures")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
