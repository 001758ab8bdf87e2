#!/bin/bash
# promptfoo's results as CSV have the columns Status, Score, ... once for each prompt, all under the same names.  A program
# that reads columns by their names keeps one prompt's and loses the others'.
#
# Expected: with two prompts, of which the first fails its test and the second passes, a table whose columns say which
# prompt they belong to, so that reading it by names shows the failure.
# Observed: "Status" stands twice in the header.  Python's csv.DictReader keeps the last one and reads PASS; the failing
# prompt can't be seen.  The same evaluation as JSON has both results.
#
# promptfoo 0.123.1 under Node 22.23.3, with its own echo provider: no model and no network is asked.
# Exits 0 while it is so, 1 when the names differ, 2 when the JSON does not have one failure and one success (then the
# script is wrong).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund promptfoo@0.123.1 node@22.23.3
export PATH="$folder/node_modules/.bin:$PATH" PROMPTFOO_CONFIG_DIR="$folder/config"
export PROMPTFOO_DISABLE_TELEMETRY=1 PROMPTFOO_DISABLE_UPDATE=1 PROMPTFOO_DISABLE_REMOTE_GENERATION=1
node --version
cat > promptfooconfig.yaml <<'YAML'
prompts: ['Short: {{word}}', 'Long: {{word}} and {{word}}']
providers: [echo]
tests:
  - vars: {word: tea}
    assert:
      - {type: contains, value: and tea}
YAML
promptfoo eval --no-cache --no-write --no-table --output results.json results.csv || true # a failed test is an exit code
cat > check.py <<'PYTHON'
import csv
import json
import sys

with open("results.csv", encoding="utf-8", newline="") as file:
    header = next(csv.reader(file))
    file.seek(0)
    by_name = next(csv.DictReader(file))
with open("results.json", encoding="utf-8") as file:
    told = [row["success"] for row in json.load(file)["results"]["results"]]
print("JSON says", told, "- the CSV has the columns", header)
print("read by names, the status is", by_name["Status"])
if sorted(told) != [False, True]:
    sys.exit(2)
sys.exit(0 if header.count("Status") == 2 and by_name["Status"] == "PASS" else 1)
PYTHON
python3 check.py
