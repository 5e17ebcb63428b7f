#!/usr/bin/env bash
# certificates.sh FOLDER: an authority (ca.pem), a server's certificate for 127.0.0.1 (server.pem, with its key), a
# client's (client.pem, client-key.pem), and one that nobody trusts (stranger.pem, stranger-key.pem), of another
# authority (other.pem). For servers that are not to be trusted: expired.pem, misnamed.pem (for db.example), and
# strange-server.pem (of the other authority).
set -euo pipefail
mkdir -p "$1"
cd "$1"

new_key=(openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
authority() {
  "${new_key[@]}" -x509 -days 2 -keyout "$1-key.pem" -out "$1.pem" -subj "/CN=$1"
}
# signed NAME AUTHORITY EXTENSION
signed() {
  "${new_key[@]}" -keyout "$1-key.pem" -out "$1.csr" -subj "/CN=$1"
  openssl x509 -req -days 2 -in "$1.csr" -CA "$2.pem" -CAkey "$2-key.pem" -CAcreateserial -extfile <(echo "$3") -out "$1.pem"
}
authority ca
authority other
signed server ca "subjectAltName=IP:127.0.0.1"
signed client ca "extendedKeyUsage=clientAuth"
signed stranger other "extendedKeyUsage=clientAuth"
signed misnamed ca "subjectAltName=DNS:db.example"
signed strange-server other "subjectAltName=IP:127.0.0.1"
signed expired ca "subjectAltName=IP:127.0.0.1"
# Once more: only `openssl ca` takes dates.
touch index.txt
openssl ca -batch -notext -config <(printf '%s\n' "[ca]" "default_ca=d" "[d]" "database=index.txt" \
  "new_certs_dir=." "rand_serial=yes" "default_md=sha256" "policy=p" "[p]" "commonName=supplied") \
  -cert ca.pem -keyfile ca-key.pem -in expired.csr -out expired.pem -extfile <(echo "subjectAltName=IP:127.0.0.1") \
  -startdate 20240101000000Z -enddate 20240201000000Z
# Kafka takes a key and its certificate from one file.
cat server-key.pem >>server.pem
