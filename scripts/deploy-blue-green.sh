#!/usr/bin/env bash
# scripts/deploy-blue-green.sh ENV [flags of inv deploy, such as --canary=10,50,100]
#   deploys the newest release in dist/ into the idle slot of every host of hosts/ENV.yml and switches, or undoes it all
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' scripts/deploy-blue-green.sh; }
refuse() { printf 'deploy-blue-green.sh: %s\n' "$1" >&2; usage >&2; exit 3; }

case "${1-}" in
  -h | --help) usage; exit 0 ;;
  '') refuse "say which environment" ;;
esac
[[ $1 =~ ^[a-z][a-z0-9-]*$ ]] || refuse "$1 is not an environment's name"
env=$1
shift
for word in "$@"; do
  [[ $word == --?* ]] || refuse "$word is no flag such as --canary=10,50,100"
  [[ $word != --env* ]] || refuse "the environment is $env already, without $word"
done
PATH=$PWD/.venv/bin:$PATH
command -v inv >/dev/null || { echo "deploy-blue-green.sh: inv is missing: scripts/setup installs it" >&2; exit 3; }
exec inv deploy "--env=$env" "$@"
