# Authorities and certificates below the root of a running mesh, which kubectl reads. See README.md.
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk

.PHONY: help fetch-root-ca
help:
	@echo "make -f $(firstword $(MAKEFILE_LIST)) fetch-root-ca      root-key.pem and root-cert.pem of the mesh"
	@echo "make -f $(firstword $(MAKEFILE_LIST)) NAME-cacerts       NAME/ with the files of the secret cacerts"
	@echo "make -f $(firstword $(MAKEFILE_LIST)) NAMESPACE-certs    NAMESPACE/ with key, certificate and root for a workload"

# The authority that istiod made for itself is in istio-ca-secret; one that the operator gave it is in cacerts.
fetch-root-ca:
	$(private) kubectl get secret istio-ca-secret -n $(ISTIO_NAMESPACE) -o 'go-template={{index .data "ca-key.pem"}}' | base64 -d > root-key.pem
	kubectl get secret istio-ca-secret -n $(ISTIO_NAMESPACE) -o 'go-template={{index .data "ca-cert.pem"}}' | base64 -d > root-cert.pem

%-cacerts: root-cert.pem root-key.pem
	$(call intermediate,$*)

%-certs: root-cert.pem root-key.pem
	mkdir -p $*
	$(private) openssl genrsa -out $*/key.pem $(WORKLOAD_KEYSZ)
	openssl req -new -sha256 -key $*/key.pem -subj "/O=$(INTERMEDIATE_ORG)" -out $*/workload.csr
	printf '%s\n' 'basicConstraints=critical,CA:false' 'keyUsage=critical,digitalSignature,keyEncipherment' 'extendedKeyUsage=serverAuth,clientAuth' 'subjectAltName=critical,URI:spiffe://$(TRUST_DOMAIN)/ns/$*/sa/$(SERVICE_ACCOUNT)' > $*/workload.ext
	openssl x509 -req -sha256 -days $(WORKLOAD_DAYS) -in $*/workload.csr -CA root-cert.pem -CAkey root-key.pem -CAcreateserial -extfile $*/workload.ext -out $*/workload-cert.pem
	cat $*/workload-cert.pem root-cert.pem > $*/cert-chain.pem
	cp root-cert.pem $*/root-cert.pem
	rm $*/workload.csr $*/workload.ext
root-cert.pem root-key.pem:
	@echo "$@ is missing: make -f $(firstword $(MAKEFILE_LIST)) fetch-root-ca" >&2; exit 1
