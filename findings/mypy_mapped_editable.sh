#!/usr/bin/env bash
# mypy does not find a package whose editable install maps it onto a folder of another name.
#
# For `package-dir = {"shop.parts" = "parts"}` setuptools installs an import hook, since no folder on
# the path holds `shop/parts`. Python imports through it; mypy reads folders and follows no hook. In
# a folder of links that is on the path by a .pth file, both find the package.
#
# Seen with setuptools 80.9.0 and mypy 1.18.2 on Python 3.11.7:
#   Python: imported
#   mypy: import-not-found
#   mypy with links: Success
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
bin="$folder/venv/bin"
"$bin/pip" install --quiet --disable-pip-version-check setuptools==80.9.0 mypy==1.18.2
mkdir -p "$folder/checkout/package" "$folder/checkout/parts" "$folder/elsewhere"
cd "$folder/checkout"
touch package/__init__.py package/py.typed parts/__init__.py
cat >pyproject.toml <<'TOML'
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "shop"
version = "1"

[tool.setuptools]
packages = ["shop", "shop.parts"]

[tool.setuptools.package-dir]
"shop" = "package"
"shop.parts" = "parts"

[tool.setuptools.package-data]
"shop" = ["py.typed"]
TOML
"$bin/pip" install --quiet --disable-pip-version-check --no-build-isolation --editable .
cd "$folder/elsewhere"
echo 'import shop.parts' >use.py
"$bin/python" use.py
echo "Python: imported"
"$bin/mypy" use.py >seen.txt && { echo "mypy finds it now"; exit 1; }
grep -o 'import-not-found' seen.txt | head -n 1 | sed 's/^/mypy: /'
mkdir -p "$folder/links/shop"
ln -s "$folder/checkout/parts" "$folder"/checkout/package/* "$folder/links/shop/"
"$bin/python" -c "
import pathlib, sysconfig
pathlib.Path(sysconfig.get_path('purelib'), 'links.pth').write_text('$folder/links')"
"$bin/mypy" use.py | grep -o Success | sed 's/^/mypy with links: /'
