#!/usr/bin/env bash
# scripts/rollback.sh [1 | 2 NUMBER | 3] [--env=NAME and other flags of inv rollback]; without a choice it asks
#   1   quick: back to the other slot
#   2   back to a backup: its release, files and database; NUMBER as listed, or latest
#   3   list the backups
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' scripts/rollback.sh; }
refuse() { printf 'rollback.sh: %s\n' "$1" >&2; usage >&2; exit 3; }
ask() { read -r -p "$1" answer || { echo >&2; refuse "nothing was chosen"; }; }

choice='' number='' flags=() where=()
for word in "$@"; do
  case "$word" in
    -h | --help) usage; exit 0 ;;
    --env=?*) flags+=("$word"); where+=("$word") ;;
    --?*) flags+=("$word") ;;
    *)
      if [ -z "$choice" ]; then choice=$word
      elif [ "$choice" = 2 ] && [ -z "$number" ]; then number=$word
      else refuse "$word is one word too many"; fi ;;
  esac
done
PATH=$PWD/.venv/bin:$PATH
command -v inv >/dev/null || { echo "rollback.sh: inv is missing: scripts/setup installs it" >&2; exit 3; }

while [ -z "$choice" ]; do
  printf '%s\n' '1) quick: back to the other slot' '2) back to a backup' '3) list the backups' >&2
  ask 'Choose 1, 2 or 3: '
  case "$answer" in
    1 | 2) choice=$answer ;;
    3) inv backup.list ${where[@]+"${where[@]}"} ;;
    *) echo "$answer is none of them" >&2 ;;
  esac
done
if [ "$choice" = 2 ] && [ -z "$number" ]; then
  inv backup.list ${where[@]+"${where[@]}"}
  ask 'Number of the backup: '
  number=$answer
fi
case "$choice" in
  1) exec inv rollback ${flags[@]+"${flags[@]}"} ;;
  2)
    [[ $number =~ ^([1-9][0-9]{0,8}|latest)$ ]] || refuse "'$number' is no number of a backup"
    exec inv rollback "--backup=$number" ${flags[@]+"${flags[@]}"} ;;
  3) exec inv backup.list ${flags[@]+"${flags[@]}"} ;;
  *) refuse "$choice is none of 1, 2 and 3" ;;
esac
