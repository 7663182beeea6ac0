#!/usr/bin/env bash
# Makes the certificates of the tests anew; they are good for a hundred years. `stranger` is signed by nobody that they know.
set -euo pipefail
cd "$(dirname "$0")"
days=36500
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt -days $days -subj "/CN=Authority"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout stranger.key -out stranger.crt -days $days -subj "/CN=Stranger"
# Signed by itself, and an authority: what `openssl req -x509` makes unless it is told otherwise.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout itself.key -out itself.crt -days $days -subj "/CN=itself"
sign() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$2"
  printf '%s\n' "keyUsage=digitalSignature" "subjectAltName=$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days $days -out "$1.crt" -extfile "$1.ext"
  rm "$1.csr" "$1.ext"
}
sign server Server "DNS:localhost,IP:127.0.0.1"
sign client Client-only "URI:urn:valkey:user:first,URI:urn:valkey:user:second"
openssl pkcs8 -topk8 -in server.key -out server.encrypted.key -v2 aes-256-cbc -passout pass:1234
rm ca.key ca.srl
