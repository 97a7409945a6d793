"""The examples of `--help`; no line is longer than 80 columns."""

CAPABILITIES = """
Queues, priorities, delays, cron schedules, retries with backoff, dead
letters, cancelling, pausing, progress, limits, unique keys, batches and
retention: `task-queue serve --help` shows how to ask for each.
Keys with scopes and queues, an audit log: `task-queue keys --help`.
From a shell, against a server: `task-queue publish --help` has examples.
"""
COMMAND_EXAMPLES = """
A member of the data is JSON if it is such, else text; --data takes all of it.
TASK_QUEUE_URL names the server, TASK_QUEUE_KEY has the key.

  task-queue publish sum 'numbers=[1,2]' --wait 30
  task-queue publish sum --data @task.json --queue tasks --delay 5m
  task-queue tasks list --status dead --after 2h
  task-queue tasks show ID
  task-queue tasks cancel --queue tasks --action sum
  task-queue dead groups
  task-queue dead redrive --action sum --per-second 10
  task-queue queues
  task-queue watch
  task-queue tail --json
  task-queue export tasks.ndjson --after 7d
  task-queue import tasks.ndjson
  task-queue doctor

Exit codes: 0 done, 1 failed (as a task that was waited for), 2 wrong usage,
settings or values, 3 no server can be reached, 4 it takes another key,
130 stopped by Ctrl-C.
"""
EXAMPLES = """
With Q=http://127.0.0.1:8080 and curl 7.82 or newer; ID is a task's id:

  publish    curl --json '{"action":"sum","data":{"numbers":[1,2]}}' $Q/tasks
  batch      curl --json '{"tasks":[{"action":"sum"}]}' $Q/tasks/batch
  queue      curl --json '{"action":"sum","queue":"tasks"}' $Q/tasks
  priority   curl --json '{"action":"sum","priority":10}' $Q/tasks
  delay      curl --json '{"action":"sum","delay_seconds":60}' $Q/tasks
  time       curl --json '{"action":"sum","run_at":1893456000}' $Q/tasks
  deadline   curl --json '{"action":"sum","expires_at":1893456000}' $Q/tasks
  retries    curl --json '{"action":"sum","max_attempts":3}' $Q/tasks
  unique     curl --json '{"action":"sum","unique_key":"one"}' $Q/tasks
  tenant     curl --json '{"action":"sum","key":"tenant-1"}' $Q/tasks
  repeat     curl --json '{"action":"sum"}' -H 'Idempotency-Key: a1' $Q/tasks
  retention  curl --json '{"action":"sum","keep_result_seconds":9}' $Q/tasks
  schedule   curl -X PUT $Q/schedules/nightly --json '{"cron":"0 3 * * *",
               "task":{"action":"sum"}}'
  progress   curl $Q/tasks/ID
  listing    curl "$Q/tasks?status=queued,running&order=oldest"
  cancel     curl -X POST $Q/tasks/ID/cancel
  dead       curl $Q/dead-letters
  redrive    curl --json '{"queue":"tasks"}' $Q/dead-letters/redrive
  retry      curl -X POST $Q/tasks/ID/retry
  delete     curl -X DELETE $Q/tasks/ID
  queues     curl $Q/queues
  pause      curl -X POST $Q/queues/tasks/pause
  resume     curl -X POST $Q/queues/tasks/resume
  purge      curl -X POST $Q/queues/tasks/purge
  key        curl -H "Authorization: Bearer $KEY" $Q/tasks
  audit      curl "$Q/audit?who=anonymous"

Queues, their limits (length, bytes, starts per second, tasks at once with the
same key), retries, retention and schedules are settings, too: see
`task-queue config`. Keys are made with `task-queue keys`.
"""
"""One line for each thing to ask for; none is longer than 80 columns."""
RUN_EXAMPLES = """
The data is checked, and time, memory and result are limited, as for a task:

  task-queue run sum --data '{"numbers":[1,2]}'
  task-queue run export --data '{"rows":3}' --config shop.toml --timeout 60

Its result goes to standard output; what it reports and logs, and why it
failed, to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage or
settings, 75 it asked to be run again later, 130 stopped by Ctrl-C.
"""
