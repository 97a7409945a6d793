#!/bin/sh
# A worker as a shell script, with curl and jq.
#
# It leases one task at a time, extends the lease while it works, and at SIGTERM gives back what it has
# not done.

server=${TASK_QUEUE_URL:-http://localhost:8080}
name=${WORKER_NAME:-shell-$(hostname)-$$}
lease_seconds=${LEASE_SECONDS:-30}
wait_seconds=20
options=$(mktemp) answer=$(mktemp) out=$(mktemp)
{
    printf '%s\n' silent fail 'header = "Content-Type: application/json"'
    if [ -n "$TASK_QUEUE_KEY" ]; then echo "header = \"Authorization: Bearer $TASK_QUEUE_KEY\""; fi
} >"$options" # not in the command line, where others could read the key

# Prints the answer to a request, which is sent again as it is while the server is away.
call() { # path, body
    printf %s "$2" | curl --retry 8 --retry-connrefused --retry-max-time 60 --max-time 15 \
        --config "$options" --data-binary @- "$server$1"
}

# Does the work: it gets the data on standard input, and prints the result.
resize() {
    data=$(cat)
    sleep "$(printf %s "$data" | jq '.seconds // 0')" &
    trap 'kill "$!"; exit 143' TERM
    wait "$!"
    printf %s "$data" | jq -c '{area: (.width * .height)}'
}

extend() { # lease, process that works
    # Not for a worker that was killed: its lease has to lapse.
    while sleep "$(jq -n "$lease_seconds / 3")" && kill -0 $$ 2>/dev/null; do
        answer=$(call "/leases/$1/extend" "{\"lease_seconds\": $lease_seconds}") || answer=lost
        case $answer in lost | *'"cancel_requested":true'*) kill "$2" 2>/dev/null ;; esac
    done
}

work() { # lease, task
    echo "doing $(printf %s "$2" | jq -r .id)"
    printf %s "$2" | jq -c .data | resize >"$out" &
    worker=$!
    extend "$1" "$worker" &
    extender=$!
    if [ -z "$stopping" ]; then wait "$worker"; fi # which a signal ends, too
    code=$?
    if [ -n "$stopping" ]; then kill "$worker" 2>/dev/null; fi
    worker=
    kill "$extender" 2>/dev/null
    if [ -n "$stopping" ]; then
        call "/leases/$1/release" '{}' >/dev/null
    elif [ "$code" = 0 ]; then
        call "/leases/$1/ack" "{\"result\": $(cat "$out")}" >/dev/null
    else
        call "/leases/$1/nack" "{\"error\": \"exit code $code\"}" >/dev/null
    fi
}

stopping='' polling='' worker=''
trap 'stopping=yes; kill $polling $worker 2>/dev/null' TERM INT

echo "$name works for $server"
asked=$(jq -nc --arg name "$name" --argjson seconds "$lease_seconds" \
    '{max: 1, lease_seconds: $seconds, worker: $name, actions: ["resize"]}')
while [ -z "$stopping" ]; do
    # Not by `call`: what a signal ends must be curl itself, or it would lease a task for nobody.
    curl --max-time $((wait_seconds + 15)) --header "Prefer: wait=$wait_seconds" \
        --config "$options" --data "$asked" "$server/queues/tasks/lease" >"$answer" &
    polling=$!
    if wait "$polling"; then lease=$(jq -r '.leases[0].lease // empty' "$answer"); else lease=; fi
    polling=
    if [ -z "$lease$stopping" ]; then sleep 0.5; fi
    if [ -n "$lease" ]; then work "$lease" "$(jq -c '.leases[0].task' "$answer")"; fi
done
rm -f "$options" "$answer" "$out"
echo "$name stopped"
