#!/bin/sh
# A small archive as a user has it, made by the command line alone: recordings at three sites with
# a clock in their names, a store, a map, thirty suggestions, a label and a site that would like to
# be a script, and a recording that is damaged. BIN: folder of the environment's programs; $1: where.
set -eu
RECORDINGS="$(cd "$(dirname "$0")/../../../demo/recordings" && pwd)"
rm -rf "$1"
mkdir -p "$1/recordings/Wood" "$1/recordings/Shore" "$1/recordings/<img src=x onerror=hacked=1>"
cd "$1"
cp "$RECORDINGS/nps_common_raven.opus" recordings/Wood/Wood_20260501_043000.opus
cp "$RECORDINGS/nps_townsend_s_solitaire.opus" recordings/Wood/Wood_20260502_053000.opus
cp "$RECORDINGS/grylluscampestris_044.opus" recordings/Shore/Shore_20260501_210000.opus
cp "$RECORDINGS/tettigoniaviridissima_016.opus" recordings/Shore/Shore_20260502_220000.opus
cp "$RECORDINGS/xc132865.opus" "recordings/<img src=x onerror=hacked=1>/Reed_20260503_050000.opus"
head -c 2000 "$RECORDINGS/bird0_007.opus" > recordings/Shore/Shore_20260503_230000.opus
printf 'no sound' > recordings/Wood/Wood_20260503_060000.wav
{
  echo path,site
  for site in Wood Shore "<img src=x onerror=hacked=1>"; do for file in "recordings/$site"/*; do echo "$file,$site"; done; done
} > sites.csv
# 3: finished, and says that two recordings are damaged
"$BIN/dawnchorus" embed --recordings sites.csv -o x.store --model dawnchorus_eat_tiny --window 2 --hop 1 --quiet || [ $? = 3 ]
"$BIN/dawnchorus" label suggest x.store --label raven -n 30 --strategy random --quiet > suggested.txt
printf 'path,start,end,label\nrecordings/Wood/Wood_20260501_043000.opus,0,2,<script>hacked=1</script>\n' > script.csv
"$BIN/dawnchorus" label import script.csv --annotations x.annotations --audio . --author import --quiet > import.txt
"$BIN/dawnchorus" cluster x.store -o x.map --min-size 3 --quiet > cluster.txt
