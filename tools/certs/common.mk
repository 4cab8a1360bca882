# What both Makefiles share: settings, and how an intermediate authority comes out of a root.
.SUFFIXES:
.DELETE_ON_ERROR:
SHELL := /bin/bash -eu -o pipefail

ROOTCA_DAYS ?= 3650
ROOTCA_KEYSZ ?= 4096
ROOTCA_ORG ?= Istio
ROOTCA_CN ?= Root CA
INTERMEDIATE_DAYS ?= 730
INTERMEDIATE_KEYSZ ?= 4096
INTERMEDIATE_ORG ?= Istio
INTERMEDIATE_CN ?= Intermediate CA
INTERMEDIATE_SAN_DNS ?= istiod.istio-system.svc
WORKLOAD_DAYS ?= 1
WORKLOAD_KEYSZ ?= 2048
SERVICE_ACCOUNT ?= default
TRUST_DOMAIN ?= cluster.local
ISTIO_NAMESPACE ?= istio-system

# Keys are readable by their owner only.
private = umask 077 &&

# $(call intermediate,FOLDER): makes FOLDER/{ca-key,ca-cert,cert-chain,root-cert}.pem from root-key.pem and root-cert.pem.
define intermediate
	mkdir -p $(1)
	$(private) openssl genrsa -out $(1)/ca-key.pem $(INTERMEDIATE_KEYSZ)
	openssl req -new -sha256 -key $(1)/ca-key.pem -subj "/O=$(INTERMEDIATE_ORG)/CN=$(INTERMEDIATE_CN)/L=$(1)" -out $(1)/ca.csr
	printf '%s\n' 'basicConstraints=critical,CA:true,pathlen:0' 'keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign,cRLSign' 'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid' 'subjectAltName=DNS:$(INTERMEDIATE_SAN_DNS)' > $(1)/ca.ext
	openssl x509 -req -sha256 -days $(INTERMEDIATE_DAYS) -in $(1)/ca.csr -CA root-cert.pem -CAkey root-key.pem -CAcreateserial -extfile $(1)/ca.ext -out $(1)/ca-cert.pem
	cat $(1)/ca-cert.pem root-cert.pem > $(1)/cert-chain.pem
	cp root-cert.pem $(1)/root-cert.pem
	rm $(1)/ca.csr $(1)/ca.ext
	@echo "$(1)/ has ca-cert.pem, ca-key.pem, cert-chain.pem and root-cert.pem"
endef
