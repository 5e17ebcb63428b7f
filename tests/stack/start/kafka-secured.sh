#!/usr/bin/env bash
# kafka-secured.sh DATA CONTROLLER_PORT PLAINTEXT_PORT SASL_PORT TLS_PORT SASL_TLS_PORT: one KRaft broker, in the
# foreground, with a listener of each kind. Certificates are in DATA/certificates. PLAIN, SCRAM-SHA-256 and
# SCRAM-SHA-512 know the user `tidegate` with the password `correct horse`, who may do everything; OAUTHBEARER takes any
# unsecured JWT. PLAIN also knows `limited`, with the same password, who may do what it has been allowed to do.
source "$(dirname "${BASH_SOURCE[0]}")/kafka-common.sh"
data="$1" controller="$2" plaintext="$3" sasl="$4" tls="$5" sasl_tls="$6"

mkdir -p "$data"
certificates="$data/certificates"
[[ -d "$certificates" ]] || "$(dirname "${BASH_SOURCE[0]}")/certificates.sh" "$certificates"

mechanisms() {
  local listener="listener.name.$1"
  cat <<PROPERTIES
$listener.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
$listener.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_tidegate="correct horse" user_limited="correct horse";
$listener.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
$listener.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
$listener.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
PROPERTIES
}
{
  common_properties "$data" 1 1
  cat <<PROPERTIES
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$plaintext,SASL://127.0.0.1:$sasl,TLS://127.0.0.1:$tls,SASLTLS://127.0.0.1:$sasl_tls,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$plaintext,SASL://127.0.0.1:$sasl,TLS://127.0.0.1:$tls,SASLTLS://127.0.0.1:$sasl_tls
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SASLTLS:SASL_SSL,CONTROLLER:PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location=$certificates/server.pem
ssl.truststore.type=PEM
ssl.truststore.location=$certificates/ca.pem
listener.name.tls.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:CN=client;User:tidegate
PROPERTIES
  mechanisms sasl
  mechanisms sasltls
} >"$data/server.properties"
run_broker "$data" 256m --add-scram 'SCRAM-SHA-256=[name=tidegate,password=correct horse]' \
  --add-scram 'SCRAM-SHA-512=[name=tidegate,password=correct horse]'
