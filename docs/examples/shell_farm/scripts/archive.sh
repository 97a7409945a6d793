# Packs a folder of `inbox` into `archives`. The data is {"folder": "NAME"}.
set -eu

# `jq -r .folder` would do as well.
folder=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["folder"])')

# Standard error is kept with the attempt.
echo "attempt $TASK_ATTEMPT: $folder" >&2

# A name is all it may be, and "$folder" is one word whatever is in it.
case "$folder" in
    "" | -* | .* | */*) echo "not the name of a folder: $folder" >&2; exit 1 ;;
esac
[ -d "inbox/$folder" ] || { echo "there is no inbox/$folder" >&2; exit 1; }

if [ -e "inbox/$folder/uploading" ]; then
    echo "$folder is still being uploaded" >&2
    exit 75 # later again; no attempt is counted
fi

mkdir -p archives
# Under another name until it is whole, so that a second run does no harm.
tar -czf "archives/.$TASK_ID" -C inbox -- "$folder"
mv "archives/.$TASK_ID" "archives/$folder.tar.gz"

# Standard output is the result: JSON, here the number of files, or text.
find "inbox/$folder" -type f -exec echo \; | wc -l
