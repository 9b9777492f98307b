#!/bin/sh
# Makes an authority for trying TLS with client certificates, and certificates for the service and for a client. All are
# valid for thirty days. It is for tests: the authority's key lies in the same folder, unencrypted.
#
#   docs/examples/tls/make-authority.sh certificates [name or address of the service …]
set -eu

folder=${1:-}
if [ -z "$folder" ]; then
  echo 'Name a new folder for the certificates.' >&2
  exit 1
fi
if [ -e "$folder" ]; then
  echo "$folder already exists." >&2
  exit 1
fi
if ! command -v openssl >/dev/null; then
  echo 'openssl is not on the path.' >&2
  exit 1
fi
shift

# Clients compare the address that they call with these names, and reject the certificate if none matches.
names=DNS:localhost,IP:127.0.0.1
for name; do
  case $name in
    *[!0-9.]*) names=$names,DNS:$name ;;
    *) names=$names,IP:$name ;;
  esac
done

umask 077
mkdir -p "$folder"
cd "$folder"
trap 'status=$?; if [ "$status" -ne 0 ]; then cat openssl.log >&2; fi' EXIT

# $1 name of the files, $2 subject of the certificate, $3 its extensions
certify() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$2" 2>>openssl.log
  printf '%s\n' "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -sha256 -extfile "$1.ext" -out "$1.pem" 2>>openssl.log
  rm "$1.csr" "$1.ext"
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 30 -sha256 \
  -subj '/CN=Ridgewatch test authority' -addext 'keyUsage=critical,keyCertSign,cRLSign' 2>>openssl.log
certify service 'Ridgewatch test service' "subjectAltName=$names
extendedKeyUsage=serverAuth"
certify client 'Ridgewatch test client' 'extendedKeyUsage=clientAuth'
rm openssl.log

here=$(pwd -P)
cat <<END
Settings of the service:
  export RIDGEWATCH_TLS_CERT=$here/service.pem
  export RIDGEWATCH_TLS_KEY=$here/service.key
  export RIDGEWATCH_TLS_CLIENT_CA=$here/ca.pem
Options of a client:
  --tls-ca $here/ca.pem --tls-cert $here/client.pem --tls-key $here/client.key
END
