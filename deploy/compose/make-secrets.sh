#!/bin/sh
# Makes the secrets of compose.yaml, each in a file of its own; those that are there already stay as they are.
# The folder is closed to everybody else on this machine. The files in it are readable, because the programs in the
# containers run under user ids of their own.
set -eu
cd "$(dirname "$0")"
umask 022
mkdir -p secrets
chmod 0700 secrets

random() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

for name in influx-token http-token mqtt-password grafana-password; do
  [ -s "secrets/$name" ] || random > "secrets/$name"
done
echo "secrets are in $(pwd)/secrets"
