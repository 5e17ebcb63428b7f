#!/usr/bin/env bash
# tests/stack/certificates.sh FOLDER: certificates for tests of TLS, made anew each time (each NAME.pem with NAME.key).
#
#   ca        signs the others              stranger         an authority that nobody trusts
#   server    for 127.0.0.1 and localhost   client           for clients
#   expired   as server, years ago          strange-client   for clients, signed by stranger
#   misnamed  as server, for db.example     strange-server   as server, signed by stranger
set -euo pipefail
mkdir -p "$1"
cd "$1"

quietly() { "$@" 2>openssl.log || { cat openssl.log >&2; exit 1; }; }
key() { quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }

# authority NAME
authority() {
  key "$1"
  quietly openssl req -x509 -key "$1.key" -subj "/CN=$1" -days 2 -out "$1.pem" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}

# signed NAME AUTHORITY EXTENSIONS
signed() {
  key "$1"
  quietly openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
  quietly openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 2 \
    -extfile <(echo "$3") -out "$1.pem"
}

here="extendedKeyUsage=serverAuth
subjectAltName=IP:127.0.0.1,DNS:localhost"
authority ca
authority stranger
signed server ca "$here"
signed misnamed ca "extendedKeyUsage=serverAuth
subjectAltName=DNS:db.example"
signed strange-server stranger "$here"
signed client ca "extendedKeyUsage=clientAuth"
signed strange-client stranger "extendedKeyUsage=clientAuth"

# Only `openssl ca` takes dates.
signed expired ca "$here"
touch index.txt
quietly openssl ca -batch -notext -config <(printf '%s\n' "[ca]" "default_ca=d" "[d]" "database=index.txt" \
  "new_certs_dir=." "rand_serial=yes" "default_md=sha256" "policy=p" "[p]" "commonName=supplied") \
  -cert ca.pem -keyfile ca.key -in expired.csr -out expired.pem -extfile <(echo "$here") \
  -startdate 20240101000000Z -enddate 20240201000000Z
