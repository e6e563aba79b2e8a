#!/usr/bin/env bash
# scripts/backup.sh create|create-full|create-db|list [--env=NAME and other flags of inv backup…]
#   create, create-full   database, files and release under the next number
#   create-db             the database alone
#   list                  the backups that there are
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' scripts/backup.sh; }
refuse() { printf 'backup.sh: %s\n' "$1" >&2; usage >&2; exit 3; }

case "${1-}" in
  create) task=backup ;;
  create-full | create-db | list) task=backup.$1 ;;
  -h | --help) usage; exit 0 ;;
  '') refuse "say what to do" ;;
  *) refuse "$1 is unknown" ;;
esac
shift
for word in "$@"; do
  [[ $word == --?* ]] || refuse "$word is no flag such as --env=production"
done
PATH=$PWD/.venv/bin:$PATH
command -v inv >/dev/null || { echo "backup.sh: inv is missing: scripts/setup installs it" >&2; exit 3; }
exec inv "$task" "$@"
